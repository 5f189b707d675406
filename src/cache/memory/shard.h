// One part of a memory tier: a table, its entries, a policy, one lock for all that changes.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/sync.h"
#include "cache/counters.h"
#include "cache/memory/entry.h"
#include "cache/memory/hazard.h"
#include "cache/memory/table.h"
#include "cache/memory/timing_wheel.h"
#include "varve/cache/tier.h"

namespace varve::cache {

// What the shards of one tier share. Outlives the tier while handles to entries that left live.
struct MemoryShared {
  enum Counter : std::size_t { hits, misses, counters };

  std::function<std::int64_t()> now_ms;
  RemovalCallback on_removal;
  TierOwner* owner = nullptr;
  Counters<counters> counts;
  std::atomic<std::uint64_t> pinned_bytes{0};
  std::atomic<std::uint64_t> pinned_bytes_max{0};

  // Of what pinned entries of all shards may have together. False: so much is not left.
  bool take_pinned(std::uint64_t bytes);
  bool has_surplus_pins() const { return pinned_bytes > pinned_bytes_max; }
  bool has_listener() const { return owner != nullptr || on_removal; }
};

// Evicted at most at a time, so that nobody waits for long.
inline constexpr std::size_t kEntriesPerStep = 64;

// Entries that left, to be told after the lock was given back.
using Departures = std::vector<Removal>;

// Thread-safe. `get` takes no lock if the policy allows.
class alignas(64) Shard {
 public:
  Shard(std::shared_ptr<MemoryShared> shared, std::unique_ptr<EvictionPolicy> policy);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  Handle get(const Key& key);
  // `value` as it is to be kept; empty: it cannot be. False: not kept, or not pinned as asked for.
  // What left is appended to `left`.
  bool put(const Key& key, const Handle& value, std::int64_t expires_ms,
           std::optional<std::int64_t> pin_until_ms, Departures& left);
  // Takes an entry that has expired out, so that its callback comes before a new value is visible.
  void expire_key(const Key& key, Departures& left);
  bool remove(const Key& key, Departures& left);
  bool contains(const Key& key) const;
  bool pin(const Key& key, std::int64_t until_ms, Departures& left);
  bool unpin(const Key& key, Departures& left);
  // Ends pins whose time is over.
  void unpin_due();
  // Ends one pin if those of all shards are too much; false: they are not, or here is none.
  bool unpin_surplus();
  bool is_pinned(const Key& key) const;
  // Evicts and expires a bounded number of entries; false: nothing is left to do.
  bool shrink(Departures& left);
  void set_capacity(const Capacity& capacity);
  bool each(const Tier::Visit& take) const;
  void add_stats(TierStats& stats) const;

  // The tier is gone and nobody listens: entries leave without notice. True: no handle needs one.
  // May be called again.
  bool close();
  // The last handle to an entry that left is gone. True: the shard is closed.
  bool give_back(Entry& entry);

 private:
  struct Pin {
    Entry* entry;
    std::int64_t until_ms;
  };

  Entry* find(const Key& key) const;  // under the lock
  [[gnu::always_inline]] static inline bool is_live(const Entry& entry, const Key& key);
  Entry* announce(std::atomic<Pinned*>& word, const Key& key) const;
  Entry* pin_counted(const Key& key) const;
  // Takes over a pin, or what was announced in `word`.
  [[gnu::always_inline]] static inline Handle handle_of(Entry& entry, std::atomic<Pinned*>* word);
  // Counts a hit and tells the policy.
  void note_hit(const ThreadRecord& me, Entry& entry);
  // The handle of a hit, which it counts and tells the policy. Empty: its time is over.
  Handle take_hit(const ThreadRecord& me, Entry& entry, std::atomic<Pinned*>* word);
  [[gnu::noinline]] Handle first_get(const Key& key);
  [[gnu::noinline]] Handle search(ThreadRecord& me, const Key& key, std::atomic<Pinned*>* word);
  [[gnu::noinline]] void touch_locked(Entry& entry, SlotId slot);
  [[gnu::noinline]] Handle get_locked(const Key& key);
  Entry* fill(const Key& key, const Handle& value, Block* block);
  // Null: it does not fit. Takes the block over.
  Entry* bring_in(const Key& key, const Handle& value, Block* block, Departures& left);
  // Under the care of the policy, or of a pin: that of the value before it, or a new one if there
  // is room for it.
  void care_for(Entry& entry, const std::optional<Pin>& had,
                std::optional<std::int64_t> pin_until_ms);

  // Whether the block can stay in place of `old`, if there is one.
  bool fits(const Block* block, const Entry* old) const;
  bool is_over() const;
  bool has_expired(const Entry& entry) const;
  // What entries that were taken out may take until they are freed.
  std::uint64_t waiting_bytes_max() const;
  std::uint64_t overhead_bytes() const;
  // Removes an entry from everything but memory, which follows when no handle needs it.
  void take_out(Entry& entry, Cause cause, bool in_table, Departures& left);
  void evict_over(std::size_t limit, Departures& left);
  void expire_due(std::int64_t now_ms, Departures& left);
  std::optional<Pin> pin_of(const Entry* entry) const;  // nullopt also for null
  // Takes what a pin of so much costs, of the shard and of all. False: it is not there.
  bool make_room_for_pin(std::uint64_t bytes);
  // REQUIRES: it is not in the policy.
  void start_pin(Entry& entry, std::int64_t until_ms);
  void forget_pin(Entry& entry);
  void end_pin(Entry& entry);
  // Frees the memory of entries that were taken out and that no handle needs.
  void collect();
  void collect_if_many();
  void free_entry(Entry& entry);
  std::uint64_t policy_charge(const Entry& entry) const;

  const std::shared_ptr<MemoryShared> shared_;
  Slab slab_;
  Table table_;
  const std::unique_ptr<EvictionPolicy> policy_;
  const bool touch_is_concurrent_;
  const HitMarks hit_marks_;

  alignas(64) mutable std::mutex mutex_;
  Capacity capacity_ VARVE_GUARDED_BY(mutex_);
  TimingWheel wheel_ VARVE_GUARDED_BY(mutex_);
  std::vector<Pin> pins_ VARVE_GUARDED_BY(mutex_);
  // Taken out, not known to be needed by counted handles only.
  std::vector<Entry*> retired_ VARVE_GUARDED_BY(mutex_);
  // Of these, those of which it was not asked yet whether a handle needs them.
  std::size_t waiting_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t waiting_bytes_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t charged_ VARVE_GUARDED_BY(mutex_) = 0;  // blocks of live entries
  std::uint64_t held_ VARVE_GUARDED_BY(mutex_) = 0;     // blocks of entries taken out
  std::uint64_t held_items_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t items_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t value_bytes_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t raw_bytes_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t pinned_items_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t pinned_bytes_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t insertions_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t rejected_ VARVE_GUARDED_BY(mutex_) = 0;
  std::uint64_t left_[5] VARVE_GUARDED_BY(mutex_) = {};
  bool closed_ VARVE_GUARDED_BY(mutex_) = false;
};

// Deletes the shard of a tier that is gone, now or once no handle needs it.
void abandon(Shard* shard);
// Deletes what can go. Called when there is a chance, since announced handles leave without a word.
void delete_orphans();

}  // namespace varve::cache
