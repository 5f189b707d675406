// The layers put together; see include/varve/cache/layered.h.
#pragma once

#include <mutex>

#include "base/clock.h"
#include "cache/counters.h"
#include "cache/layered/flights.h"
#include "cache/layered/moves.h"
#include "cache/layered/upkeep.h"
#include "cache/layered/write_order.h"
#include "cache/policy/frequency_sketch.h"
#include "cache/policy/ghost.h"
#include "varve/cache/layered.h"

namespace varve::cache {

// After so long a get stops waiting for the loads of other threads and loads for itself.
inline constexpr std::chrono::seconds kPatience{2};

// The value itself, however the last layer keeps it. `corrupt`: it cannot be decoded.
Result<Handle> decode_loaded(Result<Handle> loaded);
tl::unexpected<Error> load_is_late();

class StackedCache final : public LayeredCache {
 public:
  StackedCache(std::vector<std::unique_ptr<Tier>> tiers, std::shared_ptr<Source> source,
               LayeredOptions options);
  ~StackedCache() override;

  Result<Handle> get(std::string_view key) override;
  std::unique_ptr<Gets> get_batch(std::span<const std::string_view> keys) override;
  std::size_t find_batch(std::span<const Key> keys, std::span<Handle> out,
                         ReadCounts& counts) override;
  std::unique_ptr<Gets> load_batch(std::span<const std::string_view> keys, Source& source) override;
  Handle peek(std::string_view key) override;
  Status put(std::string_view key, std::span<const std::byte> value,
             const PutOptions& options) override;
  Status put_batch(std::span<const std::string_view> keys, std::span<const Handle> values,
                   const PutOptions& options) override;
  Status remove(std::string_view key) override;
  void evict(std::string_view key) override;
  Result<bool> pin(std::string_view key, std::int64_t until_ms) override;
  std::uint64_t version(std::string_view key) const override;
  bool pin_found(std::string_view key, const Handle& value, std::uint64_t version,
                 std::int64_t until_ms) override;
  bool unpin(std::string_view key) override;
  std::size_t tier_count() const override { return tiers_.size(); }
  Tier& tier(std::size_t number) override { return *tiers_[number]; }
  LayeredStats stats() const override;
  void maintain() override;
  void settle() override;

 private:
  friend class BatchGets;

  enum Counter : std::size_t {
    loads,
    load_errors,
    loads_shared,
    negative_hits,
    stale_dropped,
    promotions,
    promotions_dropped,
    demotions,
    demotions_dropped,
    decode_errors,
    counters
  };

  // Links a tier to what happens to entries that leave it.
  class Link final : public TierOwner {
   public:
    Link(StackedCache& cache, std::size_t number) : cache_(cache), number_(number) {}
    std::uint64_t version(std::uint64_t hash) const override { return cache_.order_.version(hash); }
    void left(const Removal& removal) override { cache_.demote(number_, removal); }

   private:
    StackedCache& cache_;
    const std::size_t number_;
  };

  // A value that tier `number` had, with what is needed to move it up.
  struct Found {
    Handle value;  // not encoded
    std::size_t number = 0;
  };
  // Looks into tiers from `first` on. An empty value: none has it.
  Found find_below(const Key& key, std::size_t first);
  std::size_t find_batch_from(std::size_t first, std::span<const Key> keys, std::span<Handle> out,
                              ReadCounts& counts);
  // Makes a value of what a tier had and moves it up if that is due. Empty: it was damaged.
  Handle take_found(const Key& key, const Handle& kept, std::size_t number, std::uint64_t version);

  // After the first tier had `kept`, perhaps nothing.
  Result<Handle> find_further(const Key& key, const Handle& kept);
  [[gnu::noinline]] void get_further(const Key& key, Result<Handle>& answer);
  Result<Handle> load(const Key& key);
  // For the load of another, with some patience.
  Result<Handle> wait_for(const Key& key, const std::shared_ptr<Flight>& flight,
                          base::TimePoint deadline);
  std::chrono::milliseconds time_left(base::TimePoint deadline) const;
  // What another thread loaded, unless its time is over by now: the load may have begun before.
  Handle shared_value(const Handle& value) const;
  Result<Handle> load_as_leader(const Key& key, const std::shared_ptr<Flight>& flight,
                                base::TimePoint deadline);
  // Ends a flight with what the last layer said, and keeps the value unless it is old by now.
  // Waits for a turn until `deadline`; after it the load may turn out to have failed.
  void land(const Key& key, const std::shared_ptr<Flight>& flight, std::uint64_t version,
            base::TimePoint deadline, Result<Handle>& loaded);
  // `cancelled`: the value must not be shown.
  Status keep(const Key& key, const Handle& value, std::uint64_t version, base::TimePoint deadline);
  // Puts values that were loaded or written into the tiers, from the cheapest up. Tiers that do not
  // take part lose what they have of the keys. REQUIRES: the turns of the keys, here and below.
  void fill(std::span<const Key> keys, std::span<const Handle> values, std::int64_t expires_ms);
  void fill_below(std::span<const Key> keys, std::span<const Handle> values,
                  const PutOptions& put_options);
  void fill_first(std::span<const Key> keys, std::span<const Handle> values,
                  const PutOptions& put_options);
  void fill_next(const Key& key, const Handle& value, const PutOptions& put_options);
  void replace_pinned(const Key& key, const Handle& value, const PutOptions& options);
  // In the form of tiers below the first.
  Handle encoded_value(const Handle& value) const;
  static bool surely_has(const Tier& tier, const Key& key);

  // `version` is from before the value was read.
  bool pin_value(std::string_view key, const Handle& value, std::uint64_t version,
                 std::int64_t until_ms);
  Status write(std::span<const Key> keys, std::span<const Handle> values,
               const PutOptions& options);
  void demote(std::size_t number, const Removal& removal);
  void make(const Move& move);
  bool is_asked_often(std::uint64_t hash);
  bool left_before(std::uint64_t hash);
  void drop_from_tiers(const Key& key);
  // Whoever finds a new value in a tier that keeps all must not find an older one above it later.
  // REQUIRES: the turn of the key.
  void drop_above_persistent(const Key& key);

  const LayeredOptions options_;
  base::Clock& clock_;
  const std::shared_ptr<Source> source_;
  std::vector<std::unique_ptr<Tier>> tiers_;
  Tier* const first_;  // of the tiers; null: there is none
  std::vector<std::unique_ptr<Link>> links_;
  WriteOrder order_;
  Flights flights_;
  Counters<counters> counts_;

  std::mutex sketch_mutex_;
  FrequencySketch asked_
      VARVE_GUARDED_BY(sketch_mutex_);          // gets that found nothing in the first tier
  Ghost left_ VARVE_GUARDED_BY(sketch_mutex_);  // left a tier without a hit

  Moves moves_;  // its end waits for moves, which use the rest
  Upkeep upkeep_;
};

}  // namespace varve::cache
