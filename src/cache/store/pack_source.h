#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/sync.h"
#include "cache/store/footers.h"
#include "cache/store/pack_index.h"
#include "cache/store/ranges.h"
#include "store/object_store.h"
#include "varve/cache/store_source.h"

namespace varve::cache::packs {

// No request of a process lands so long after the process gave it up.
inline constexpr std::chrono::minutes kLateMax{15};
// Sequences begin at the time of their write, in milliseconds since 1970, shifted by so many bits.
inline constexpr unsigned kSequenceBits = 20;

class PackSource final : public StoreSource {
 public:
  PackSource(std::shared_ptr<store::ObjectStore> store, StoreSourceOptions options,
             base::Clock& clock, std::uint64_t seed);

  std::string_view name() const override { return "store"; }
  std::unique_ptr<Loads> load(std::span<const Key> keys,
                              std::chrono::milliseconds timeout) override;
  Status put_batch(std::span<const Key> keys, std::span<const Handle> values,
                   const PutOptions& options) override;
  Status remove_batch(std::span<const Key> keys) override;
  Status refresh() override;
  Status compact() override;
  StoreSourceStats stats() const override;

 private:
  friend class PackLoads;
  friend class Compaction;
  class Writing;

  // One record to write; null value: a removal.
  struct Item {
    std::string_view key;
    const Handle* value = nullptr;
    std::int64_t expires_ms = 0;
  };
  Status write(std::span<const Item> items);
  // Writes one pack and takes it into the index. REQUIRES: it is not empty.
  Status write_pack(PackBuilder& builder, std::uint32_t level);
  // Creates an object whose name nobody else uses, and repeats that while nobody knows whether it
  // is there.
  Status create_once(std::string_view name, base::ByteSpan bytes, base::Deadline deadline);
  // True if a pack vanished between list and read, so that its records are elsewhere.
  Result<bool> refresh_once(base::Deadline deadline);
  base::Deadline deadline() const { return base::Deadline::after(clock_, options_.timeout); }

  const std::shared_ptr<store::ObjectStore> store_;
  const StoreSourceOptions options_;
  const std::string folder_;  // the prefix with its '/'
  base::Clock& clock_;
  base::Random random_;
  const base::TimePoint opened_at_;

  mutable std::shared_mutex index_mutex_;
  PackIndex index_ VARVE_GUARDED_BY(index_mutex_);

  std::mutex sequence_mutex_;
  std::uint64_t next_sequence_ VARVE_GUARDED_BY(sequence_mutex_) = 1;
  // First sequences of writes under way, and of those that failed and may still land.
  std::multiset<std::uint64_t> unsettled_ VARVE_GUARDED_BY(sequence_mutex_);

  base::Turn compacting_;
  std::atomic<std::uint64_t> requests_{0}, request_bytes_{0}, corrupt_{0};
};

}  // namespace varve::cache::packs
