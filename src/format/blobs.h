// The smaller immutable objects: centroids, directions, key map segments, stale-row bitmaps,
// retired lists, and the catalog of a bucket (which is mutable).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <roaring/roaring.hh>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "format/uuid.h"
#include "kernels/directions.h"

namespace varve::format {

// --- centroids ---

struct Centroids {
  std::uint32_t dim = 0;
  std::vector<std::uint32_t> clusters;  // cluster id of each centroid
  std::vector<float> values;            // clusters.size() * dim, row-major
};
base::Bytes encode_centroids(const Centroids& centroids, const Uuid& index, std::string_view name,
                             base::Nonce nonce);
Result<Centroids> decode_centroids(const base::Bytes& object, std::uint32_t dim, const Uuid& index,
                                   std::string_view name);

// --- directions ---

// REQUIRES: not empty.
base::Bytes encode_directions(const kernels::Directions& directions, const Uuid& index,
                              std::string_view name, base::Nonce nonce);
// `dim`: of the index, not rotated.
Result<kernels::Directions> decode_directions(const base::Bytes& object, std::uint32_t dim,
                                              const Uuid& index, std::string_view name);

// --- key map ---
//
// A segment is a sorted list of (hash of key, part, row), newest segment last. It has no
// tombstones: an entry is dead if its part is no longer in the manifest or its row is stale, and a
// candidate counts only if the key stored at (part, row) is the key asked for. So a collision of
// hashes costs one more look and never a wrong answer.

inline constexpr unsigned kKeyHashBits = 48;
std::uint64_t key_hash(std::string_view key);  // the upper kKeyHashBits of XXH3-64

struct KeyLocation {
  std::uint64_t hash = 0;
  std::uint64_t part = 0;
  std::uint32_t row = 0;
  auto operator<=>(const KeyLocation&) const = default;
};
// Sorts `entries`.
base::Bytes encode_key_map(std::vector<KeyLocation> entries, const Uuid& index,
                           std::string_view name, base::Nonce nonce);

// A segment as it is stored; memory is the stored bytes (6 to 10 a key).
class KeyMapSegment {
 public:
  static Result<KeyMapSegment> decode(const base::Bytes& object, const Uuid& index,
                                      std::string_view name);
  // Appends every location with this hash.
  void find(std::uint64_t hash, std::vector<KeyLocation>& out) const;
  // All entries in order.
  std::vector<KeyLocation> entries() const;
  std::uint64_t size() const { return count_; }
  std::size_t resident_bytes() const { return bytes_.size(); }

 private:
  struct Block;
  base::ByteSpan block_bytes(std::size_t block) const;
  Block block(std::size_t block) const;
  Status check(std::string_view context) const;

  base::Bytes bytes_;
  std::uint64_t count_ = 0;
  std::vector<std::uint64_t> first_hash_;     // of each block
  std::vector<std::uint32_t> block_offsets_;  // one more than blocks
};

// --- stale rows ---

// part id -> rows that are replaced or deleted. Parts without stale rows are absent.
using StaleRows = std::map<std::uint64_t, Roaring>;
base::Bytes encode_stale(const StaleRows& stale, const Uuid& index, std::string_view name,
                         base::Nonce nonce);
Result<StaleRows> decode_stale(const base::Bytes& object, const Uuid& index, std::string_view name);

// --- retired ---

base::Bytes encode_retired(std::span<const std::string> names, const Uuid& index,
                           std::string_view name, base::Nonce nonce);
Result<std::vector<std::string>> decode_retired(const base::Bytes& object, const Uuid& index,
                                                std::string_view name);

// --- catalog of one bucket ---

enum class CatalogState : std::uint8_t { active = 1, deleting = 2 };
struct CatalogEntry {
  std::string index;
  Uuid uuid;
  CatalogState state = CatalogState::active;
};
struct Catalog {
  std::string bucket;
  std::vector<CatalogEntry> entries;  // sorted by index name
};
base::Bytes encode_catalog(const Catalog& catalog, std::string_view name, base::Nonce nonce);
Result<Catalog> decode_catalog(const base::Bytes& object, std::string_view name);

}  // namespace varve::format
