// The ready-made cache for float vectors: memory, compressed memory and disk in front of object
// storage.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/cache/layered.h"
#include "varve/result.h"

namespace varve::cache {

class StoreSource;

// The defaults are the small configuration: at most 5 MB of memory in all.
struct VectorStorageOptions {
  // What always has the vectors: a directory, file://, memory://name.
  std::string store;
  std::string prefix = "vectors";  // names of its objects begin with it
  // Of the tier on disk; empty: there is none. It knows nothing of vectors that other processes
  // write to the store: where there are some, each start takes a folder that is new or cleared
  // (clear_disk_tier).
  std::string folder;
  std::uint32_t dim = 0;  // of every vector; 0: any

  std::uint64_t hot_bytes = std::uint64_t{1} << 20;   // vectors as they are; 0: no such tier
  std::uint64_t warm_bytes = std::uint64_t{3} << 20;  // compressed without loss; 0: no such tier
  std::uint64_t disk_bytes = 0;                       // 0: nearly all of the disk

  std::string policy = "s3-fifo";  // of the tiers in memory, one of policy_names()
  // A vector moves to the first tier when it was found further down so many times of late.
  unsigned promote_after = 3;
  // Tries zstd as well where the codecs for floats save nothing; 0: not.
  int zstd_level = 0;
  std::chrono::milliseconds timeout{60'000};  // of one load or write
  // How often a thread of its own looks after the tiers; 0: there is none, see maintain().
  std::chrono::milliseconds maintain_every{1'000};
};

// Floats that a cache keeps, borrowed without a copy while this lives. As a Handle.
class VectorHandle {
 public:
  VectorHandle() = default;  // empty: there is no such vector
  // `corrupt`: the bytes are no floats. Copies only what does not lie on a boundary of floats.
  static Result<VectorHandle> of(Handle handle);

  explicit operator bool() const { return static_cast<bool>(handle_); }
  std::span<const float> values() const {
    return {reinterpret_cast<const float*>(handle_.bytes().data()),
            handle_.bytes().size() / sizeof(float)};
  }
  const Handle& handle() const { return handle_; }

 private:
  explicit VectorHandle(Handle handle) : handle_(std::move(handle)) {}

  Handle handle_;
};

// Vectors under way. Used by one thread; destruction cancels what is left.
class VectorGets {
 public:
  struct Got {
    std::size_t index = 0;  // of the key in the call
    Result<VectorHandle> vector;
  };
  explicit VectorGets(std::unique_ptr<Gets> gets) : gets_(std::move(gets)) {}

  // First what the tiers had, then loads in the order of arrival. nullopt: no more.
  std::optional<Got> next();
  const ReadCounts& counts() const { return gets_->counts(); }

 private:
  std::unique_ptr<Gets> gets_;
};

// Thread-safe: any method, any thread. Order and errors as of LayeredCache; `corrupt` also for a
// value that is no vector.
class EfficientVectorStorage {
 public:
  // `invalid` names the field of the options. `conflict`: another process has the folder. Otherwise
  // the errors of the store.
  static Result<std::unique_ptr<EfficientVectorStorage>> open(const VectorStorageOptions& options);
  ~EfficientVectorStorage();

  // Durable in the store when it returns. `invalid` names key or vector: an empty vector, or one of
  // another dimension.
  Status put(std::string_view key, std::span<const float> vector);
  // In one object of the store. REQUIRES: equal sizes.
  Status put_batch(std::span<const std::string_view> keys,
                   std::span<const std::span<const float>> vectors);

  // An empty one: there is no such vector.
  Result<VectorHandle> get(std::string_view key);
  // Starts all loads, without waiting for one. `keys` may go away. Ends before the storage does.
  VectorGets get_batch(std::span<const std::string_view> keys);

  Status remove(std::string_view key);
  // Keeps the vector in the first tier until unpin or `until_ms` (since 1970; 0: no end). False:
  // there is none, or pinned bytes are at their limit.
  Result<bool> pin(std::string_view key, std::int64_t until_ms = 0);
  bool unpin(std::string_view key);

  LayeredStats stats() const;
  // As of LayeredCache: what the thread of its own does that `maintain_every` speaks of.
  void maintain() { cache_->maintain(); }
  // Merges small objects of the store and drops what is not the newest of its key.
  Status compact();
  // The layers, for all that is not special to vectors.
  LayeredCache& cache() { return *cache_; }

 private:
  EfficientVectorStorage(std::uint32_t dim, std::shared_ptr<StoreSource> source,
                         std::unique_ptr<LayeredCache> cache);
  Status check(std::span<const float> vector) const;

  const std::uint32_t dim_;
  const std::shared_ptr<StoreSource> source_;
  const std::unique_ptr<LayeredCache> cache_;
};

}  // namespace varve::cache
