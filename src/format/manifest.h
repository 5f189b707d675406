// Manifest: the immutable list of what an index consists of at one version.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "codec/checksum.h"
#include "format/uuid.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::format {

// Sections of one part. A: sign codes. B: ids. C: extra bits. D: raw rows. E: filterable
// attributes. F: other metadata. A is absent in format version 1, E in 1 and 2, C in 1 to 3.
enum class Section : std::uint8_t {
  codes = 0,
  ids = 1,
  extra = 2,
  rows = 3,
  attributes = 4,
  metadata = 5
};
inline constexpr std::size_t kSectionCount = 6;
char letter(Section section);  // 'A' to 'F'

enum class SectionEncoding : std::uint8_t { raw = 0, zstd = 1 };

// What section A holds. signs: kernels/sign_codes.h, of rows (of unit length under cosine) less the
// centroid of their cluster, rotated by Rotation(dim, seed of the manifest).
enum class CodeKind : std::uint8_t { none = 0, signs = 1, signs_in_two_steps = 2 };

// A byte range of a group object. stored_bytes == 0: the section is absent.
struct SectionRef {
  std::uint64_t offset = 0;  // from the start of the object
  std::uint32_t stored_bytes = 0;
  std::uint32_t raw_bytes = 0;
  std::uint32_t crc32c = 0;  // of the stored bytes
  SectionEncoding encoding = SectionEncoding::raw;
};

// Rows of one cluster in one group. A cluster is a list of parts: one after `compact`, and one more
// for each fold that added rows to it.
struct PartRef {
  std::uint64_t id = 0;  // unique in the index for ever; the key map points at (id, row)
  std::uint32_t cluster = 0;
  std::uint32_t rows = 0;
  kernels::RowType row_type = kernels::RowType::f32;
  std::uint32_t row_stride = 0;  // bytes
  CodeKind code_kind = CodeKind::none;
  // No row lies farther from the centroid of the cluster (both as clusters see them; not squared);
  // 0: not known. A value that round_radius() gives.
  float radius = 0;
  std::array<SectionRef, kSectionCount> sections{};

  const SectionRef& section(Section s) const { return sections[static_cast<std::size_t>(s)]; }
  SectionRef& section(Section s) { return sections[static_cast<std::size_t>(s)]; }
};

// The least radius that can be stored and is not below `radius`; 0 if there is none.
float round_radius(float radius);

// An immutable object and how to recognise it.
struct BlobRef {
  std::string name;
  std::uint64_t bytes = 0;
  codec::Hash128 body_hash;  // as in its envelope
};

struct GroupRef {
  BlobRef blob;
  std::vector<PartRef> parts;
};

// "To find `recall` of the `k` nearest on average, visit clusters in the order of their centroids
// up to `nprobe`, but none farther than `ratio` times the nearest (distance, not squared)".
struct ProbePoint {
  float recall = 0;
  std::uint32_t k = 0;
  std::uint32_t nprobe = 0;
  float ratio = 0;
};

struct Manifest {
  std::string bucket, index;  // for people and fsck; never part of a path
  std::uint32_t dim = 0;
  Metric metric = Metric::euclidean;
  ClusterOrder order = ClusterOrder::similarity;
  std::uint64_t seed = 0;  // of rotation and sampling
  // Of each row with codes in section C (kernels/extra_codes.h); 0: there is no section C.
  std::uint32_t extra_words = 0;
  // Of the errors in section C (kernels/directions.h); absent if none are stored there.
  std::optional<BlobRef> directions;
  std::uint64_t next_part = 1;
  std::uint32_t next_cluster = 0;
  std::uint64_t live_rows = 0;  // rows in clusters that are not stale
  std::uint64_t stale_rows = 0;
  std::uint64_t fitted_rows = 0;  // live rows when the centroids were trained
  std::vector<GroupRef> groups;
  std::optional<BlobRef> centroids;  // absent while the index has no clusters
  std::vector<BlobRef> key_map;      // segments, oldest first
  std::optional<BlobRef> stale;      // absent while no row is stale
  std::vector<ProbePoint> probe_table;
};

base::Bytes encode_manifest(const Manifest& manifest, const Uuid& index, std::string_view name,
                            base::Nonce nonce);
Result<Manifest> decode_manifest(const base::Bytes& object, const Uuid& index,
                                 std::string_view name);

}  // namespace varve::format
