// HEAD: the one mutable object of an index, changed by compare-and-swap, less than 4 KiB.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "base/sha256.h"
#include "format/uuid.h"

namespace varve::format {

enum class IndexState : std::uint8_t { open = 1, opening = 2, deleted = 3 };

// A slot of the log: object wal/<epoch>/<seq>.
struct LogPosition {
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  auto operator<=>(const LogPosition&) const = default;
};

enum class JobKind : std::uint8_t { fold = 1, import = 2, compact = 3 };

// A background job that may commit as long as it is listed. Its objects lie under d/<id>/.
struct Job {
  std::uint64_t id = 0;
  JobKind kind = JobKind::fold;
  std::uint64_t epoch = 0;         // of the owner when it was registered
  std::uint64_t base_version = 0;  // of HEAD when it was registered
  std::int64_t started_ms = 0;     // wall clock, a hint for people and for abandoned jobs
  std::string owner;               // engine/owner.h, at most 128 bytes, a hint
};

// Objects that one commit replaced. Deleted when the grace is over.
struct RetiredRef {
  std::string list_name;  // object of kind retired
  std::uint64_t at_version = 0;
  std::int64_t at_ms = 0;
};

inline constexpr std::size_t kParentsMax = 64;
inline constexpr std::size_t kJobsMax = 8;
inline constexpr std::size_t kRetiredMax = 8;

struct Head {
  IndexState state = IndexState::open;
  std::uint64_t version = 0;
  base::Nonce nonce;                 // of this write; equals the nonce of the envelope
  std::vector<base::Nonce> parents;  // oldest first, the last kParentsMax writes before this one
  std::uint64_t epoch = 0;
  base::Nonce owner;  // instance that owns the epoch
  LogPosition fold;   // first slot that is not in the clusters yet
  std::string manifest_name;
  std::uint64_t manifest_bytes = 0;
  base::Sha256 manifest_sha256{};
  std::uint64_t next_job = 1;
  std::vector<Job> jobs;
  std::vector<RetiredRef> retired;
};

// The whole object, envelope included.
base::Bytes encode_head(const Head& head, const Uuid& index, std::string_view name);
// `corrupt`: names the object.
Result<Head> decode_head(const base::Bytes& object, const Uuid& index, std::string_view name);

}  // namespace varve::format
