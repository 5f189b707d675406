// What one manifest says, loaded: clusters, their parts, which rows are stale, where keys are.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ann/centroid_ranking.h"
#include "ann/kmeans.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/sync.h"
#include "engine/env.h"
#include "engine/names.h"
#include "format/blobs.h"
#include "format/group.h"
#include "format/head.h"
#include "format/manifest.h"
#include "kernels/directions.h"
#include "kernels/extra_codes.h"
#include "kernels/rotation.h"

namespace varve::engine {

// Rows of one part, decoded.
struct PartRows {
  base::Bytes section;
  kernels::Rows rows;
  std::vector<float> inverse_norms;  // cosine only; 1 / |row|
  // Cosine only; rows so long or so short that float32 products of them over- or underflow. Their
  // distances are computed in double.
  std::vector<std::uint32_t> extreme;
};

// A value that is made at most once and then read without a lock.
template <typename T>
class SetOnce {
 public:
  SetOnce() = default;
  ~SetOnce() { delete value_.load(); }
  SetOnce(const SetOnce&) = delete;
  SetOnce& operator=(const SetOnce&) = delete;

  const T* get() const { return value_.load(std::memory_order_acquire); }
  // Of several at the same time the first stays; they are equal.
  void set(T value) {
    const T* expected = nullptr;
    auto made = std::make_unique<const T>(std::move(value));
    if (value_.compare_exchange_strong(expected, made.get())) {
      static_cast<void>(made.release());
    }
  }

 private:
  std::atomic<const T*> value_{nullptr};
};

// One part. Shared by all generations that contain it, since parts never change.
struct PartSlot {
  PartSlot(const format::PartRef& part, std::string group) : ref(part), object(std::move(group)) {}

  const format::PartRef ref;
  const std::string object;  // key of the group

  std::string context() const;  // "object ...: part 7"
  bool has_attributes() const { return ref.section(format::Section::attributes).stored_bytes > 0; }
  bool has_metadata() const { return ref.section(format::Section::metadata).stored_bytes > 0; }
};

// What is the same for all parts of an index.
struct SectionContext {
  format::Uuid index;
  std::uint32_t dim = 0;
  Metric metric = Metric::euclidean;
};

// Rows with what distances to them need. `rows` borrows from `section`.
PartRows with_norms(base::Bytes section, const kernels::Rows& rows, Metric metric);
// Section D decoded. `corrupt`: it does not fit its part.
Result<PartRows> make_part_rows(base::Bytes section, const PartSlot& slot,
                                const SectionContext& context);

struct ResidentSections;

// A part as one generation sees it.
struct PartView {
  std::shared_ptr<PartSlot> slot;
  std::vector<std::uint64_t> stale;  // one bit a row; empty if none is stale
  std::uint32_t stale_count = 0;

  bool is_stale(std::uint32_t row) const {
    return !stale.empty() && (stale[row / 64] >> (row % 64) & 1) != 0;
  }
  const std::uint64_t* stale_words() const { return stale.empty() ? nullptr : stale.data(); }
  std::uint32_t live_rows() const { return slot->ref.rows - stale_count; }
};

// A row of this generation: index into parts(), row in the part.
struct RowLocation {
  std::uint32_t part = 0;
  std::uint32_t row = 0;
};

// Live keys of clusters in byte order: all that come after `after`, up to the last of `keys`.
struct KeyRun {
  std::string after;
  std::vector<std::string> keys;
  bool is_last = false;  // no more keys follow
  std::size_t bytes = 0;

  bool covers(std::string_view start_after) const {
    return start_after >= after && (is_last || start_after < keys.back());
  }
};

// The live row of a key.
struct FoundRow : RowLocation {
  Lsn lsn;
};

// Immutable but for what is loaded lazily. Thread-safe.
class Generation {
 public:
  // Reads the manifest that `head` names, the centroids and the stale rows. Part slots of
  // `previous` (may be null) are taken over. `not_found`: an object is gone; read HEAD again.
  static Result<std::shared_ptr<Generation>> load(const Env& env, const format::Uuid& index,
                                                  const format::Head& head,
                                                  const Generation* previous);

  const format::Manifest& manifest() const { return manifest_; }
  const std::string& manifest_name() const { return manifest_name_; }
  const ann::CentroidSet& centroids() const { return centroids_; }
  const std::vector<std::uint32_t>& cluster_ids() const { return cluster_ids_; }
  std::span<const PartView> parts() const { return parts_; }
  // Indexes into parts() of the cluster of centroid `i`.
  std::span<const std::uint32_t> parts_of(std::size_t centroid) const;
  // No row of the cluster of centroid `i` lies farther from it, as clusters see rows; infinity if
  // that is not known.
  float radius_of(std::size_t centroid) const { return radii_[centroid]; }
  // Whether the cluster of centroid `i` lies in more parts than its bytes need.
  bool is_scattered(std::size_t centroid) const;
  std::optional<std::uint32_t> part_by_id(std::uint64_t id) const;
  const format::StaleRows& stale() const { return stale_; }
  std::uint64_t live_rows() const { return manifest_.live_rows; }
  // Of the codes; null if no row can have any.
  const kernels::Rotation* rotation() const { return rotation_ ? &*rotation_ : nullptr; }
  // REQUIRES: rotation().
  const ann::CentroidRanking& ranking() const { return ranking_; }
  // Of section C. REQUIRES: rotation(), and that the index has that section.
  kernels::ExtraShape extra_shape() const {
    return kernels::extra_shape(rotation_->padded_dim(), manifest_.extra_words,
                                directions_->count());
  }
  // Along which codes keep their error; empty if they do not.
  const std::shared_ptr<const kernels::Directions>& directions() const { return directions_; }

  // All sections, held in memory while the index is pinned; null while it is not.
  std::shared_ptr<const ResidentSections> resident() const;
  void set_resident(std::shared_ptr<const ResidentSections> sections) const;

  const SectionContext& context() const { return context_; }

  // One kind of section of several parts, through the cache. The view is empty for a part
  // that has no such section.
  template <typename View>
  Result<std::vector<View>> views(const Env& env, std::span<const std::uint32_t> parts) const;
  // How many of `parts`, from the first on, have `sections` that take at most `bytes_max` in the
  // cache together; one at least. REQUIRES: not empty.
  std::size_t count_within(std::span<const std::uint32_t> parts,
                           std::initializer_list<format::Section> sections,
                           std::uint64_t bytes_max) const;
  // One section past the cache, for jobs that read everything once.
  Result<std::shared_ptr<const PartRows>> read_rows(const Env& env, std::uint32_t part) const;
  Result<std::shared_ptr<const format::RowIds>> read_ids(const Env& env, std::uint32_t part) const;
  // Null if the part has no metadata.
  Result<std::shared_ptr<const format::RowMetadata>> read_metadata(const Env& env,
                                                                   std::uint32_t part) const;

  // The live row of each key, or nullopt. Loads the key map and reads the ids that it needs.
  Result<std::vector<std::optional<FoundRow>>> find(const Env& env,
                                                    std::span<const std::string_view> keys) const;
  // The same past the cache, for jobs whose outcome is durable: a wrong byte in a tier must not
  // decide which rows are stale. Reads the ids of a part once.
  Result<std::vector<std::optional<FoundRow>>> find_in_store(
      const Env& env, std::span<const std::string_view> keys) const;
  // A run of keys that covers `start_after`. The newest is kept for the pages that follow; making
  // one reads the ids of all parts, some at a time. Takes about as much memory as a query may hold.
  Result<std::shared_ptr<const KeyRun>> key_run(const Env& env, std::string_view start_after) const;

  Result<std::vector<format::KeyMapSegment>> read_key_map(const Env& env) const;
  // Memory of its own: centroids, manifest and parts, stale rows, and what was loaded of key map
  // and keys. Of structures with many small pieces an estimate. Sections are in the cache.
  std::size_t resident_bytes() const;

 private:
  // A row whose key has the hash of keys[key].
  struct MaybeFound {
    RowLocation location;
    std::size_t key;
  };

  // In the order of parts.
  Result<std::vector<MaybeFound>> locate(const Env& env,
                                         std::span<const std::string_view> keys) const;
  // `read_ids(parts, take)` calls take(place in parts, ids of the part) for each, in any order.
  template <typename ReadIds>
  Result<std::vector<std::optional<FoundRow>>> find_by(const Env& env,
                                                       std::span<const std::string_view> keys,
                                                       const ReadIds& read_ids) const;
  Status load_key_map(const Env& env) const;
  std::shared_ptr<const KeyRun> kept_run() const;
  Status index_parts(const Generation* previous);

  SectionContext context_;
  std::string manifest_name_;
  format::Manifest manifest_;
  ann::CentroidSet centroids_;
  std::vector<std::uint32_t> cluster_ids_;
  format::StaleRows stale_;
  std::optional<kernels::Rotation> rotation_;
  std::shared_ptr<const kernels::Directions> directions_ =
      std::make_shared<const kernels::Directions>();
  ann::CentroidRanking ranking_;  // borrows centroids_
  std::vector<PartView> parts_;
  std::vector<std::uint32_t> cluster_parts_;   // grouped by centroid
  std::vector<std::uint32_t> cluster_begins_;  // one more than centroids
  std::vector<float> radii_;                   // of each centroid
  std::unordered_map<std::uint64_t, std::uint32_t> part_numbers_;

  mutable base::Turn lazy_;  // one thread builds what follows
  mutable SetOnce<std::vector<format::KeyMapSegment>> key_map_;
  mutable std::shared_ptr<const KeyRun> run_ VARVE_GUARDED_BY(run_mutex_);
  mutable std::mutex run_mutex_;
  mutable std::shared_ptr<const ResidentSections> resident_ VARVE_GUARDED_BY(resident_mutex_);
  mutable std::mutex resident_mutex_;
};

// Whole object as a blob of `index`, verified against its reference.
Result<base::Bytes> read_blob(const Env& env, const format::BlobRef& ref);

}  // namespace varve::engine
