// Any number of tiers, each dearer and faster than the next, in front of what always has the data.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/cache/handle.h"
#include "varve/cache/source.h"
#include "varve/cache/tier.h"
#include "varve/result.h"

namespace varve::base {
class Clock;
class Pool;
}  // namespace varve::base

namespace varve::cache {

struct LayeredOptions {
  // A value moves to the first tier when it was found further down so many times of late.
  unsigned promote_after = 2;
  // A value leaves the tier it was promoted from. Otherwise it stays, and costs no writing when it
  // comes down again.
  bool exclusive = false;
  // How long it is remembered that the last layer has no value of a key; 0: not at all. As with all
  // times here, as long as you like.
  std::chrono::milliseconds negative_ttl{1'000};
  // Of one load, waiting for that of another thread included.
  std::chrono::milliseconds timeout{60'000};
  // Promotions and demotions that wait. What comes on top is not moved, nobody waits for room; a
  // value that is larger alone is moved when no other waits.
  std::size_t moves_max = 1024;
  std::uint64_t move_bytes_max = std::uint64_t{4} << 20;
  // The form that tiers below the first get values in, for example compressed(). Null: as they are.
  std::function<Handle(const Handle& value)> encode;
  // How often a thread of the cache's own calls maintain(), callbacks included; 0: there is none,
  // nor is there one under a `clock` that is not the system's.
  std::chrono::milliseconds maintain_every{1'000};
  // Moves values between tiers; null: the thread whose call makes one necessary. It must not run
  // tasks in the thread that posts them.
  base::Pool* pool = nullptr;
  base::Clock* clock = nullptr;  // null: the system's
};

// Counters grow from the start of the process.
struct LayeredStats {
  struct Named {
    std::string name;
    TierStats stats;
  };
  std::vector<Named> tiers;
  std::uint64_t loads = 0;          // asked of the last layer
  std::uint64_t load_errors = 0;    // of these, failed
  std::uint64_t loads_shared = 0;   // gets that waited for the load of another
  std::uint64_t negative_hits = 0;  // gets answered by what is not there
  std::uint64_t stale_dropped = 0;  // values not kept because a newer one was written meanwhile
  std::uint64_t promotions = 0, promotions_dropped = 0;
  std::uint64_t demotions = 0, demotions_dropped = 0;
  std::uint64_t decode_errors = 0;  // entries that could not be decoded, each taken for a miss
  std::uint64_t waiting_moves = 0, waiting_bytes = 0;  // now
};

// Where the values of one call came from.
struct ReadCounts {
  static constexpr std::size_t kTiersMax = 8;
  std::uint64_t tiers[kTiersMax] = {};
  std::uint64_t loads = 0;         // asked of the last layer
  std::uint64_t loads_shared = 0;  // loaded by another
};

// Gets under way. Used by one thread; destruction cancels what is left.
class Gets {
 public:
  struct Got {
    std::size_t index = 0;  // of the key in the call
    Result<Handle> value;   // as of LayeredCache::get
  };
  virtual ~Gets() = default;
  // The next answer: first what tiers had, then loads in the order of arrival. nullopt: no more.
  virtual std::optional<Got> next() = 0;
  virtual const ReadCounts& counts() const = 0;
};

// Thread-safe: any method, any thread. Readers of a key see its values in the order in which they
// were written: who has seen one, or whose `put` or `remove` has returned, gets no older one.
// Removal callbacks of its tiers may use their tier, but not the cache: the thread they run in may
// hold what the cache would wait for, and the process ends.
class LayeredCache {
 public:
  virtual ~LayeredCache() = default;

  // The value, not encoded; an empty handle: there is none. Errors are those of the last layer:
  // `unavailable`, `cancelled` (too late), `corrupt`. `invalid`: an empty or too long key. Trouble
  // in a tier is never an error.
  virtual Result<Handle> get(std::string_view key) = 0;
  // Looks into all tiers and starts all loads, without waiting for one. `keys` may go away.
  virtual std::unique_ptr<Gets> get_batch(std::span<const std::string_view> keys) = 0;
  // The two halves of it, for callers whose values some `source` of theirs can make. Fills the
  // empty ones of `out` with what tiers have, adds to `counts`, and returns how many are still
  // empty. REQUIRES: equal sizes, keys of 1 to kKeyBytesMax bytes.
  virtual std::size_t find_batch(std::span<const Key> keys, std::span<Handle> out,
                                 ReadCounts& counts) = 0;
  // Starts the loads of values that no tier has. `source` outlives the gets.
  virtual std::unique_ptr<Gets> load_batch(std::span<const std::string_view> keys,
                                           Source& source) = 0;
  // The same without loads and without moving anything: an empty handle for what no tier has.
  virtual Handle peek(std::string_view key) = 0;

  // Writes to the last layer, then to the tiers. An error of the last layer may mean that the value
  // was written there; no tier keeps one of the key then.
  virtual Status put(std::string_view key, std::span<const std::byte> value,
                     const PutOptions& options) = 0;
  virtual Status put_batch(std::span<const std::string_view> keys, std::span<const Handle> values,
                           const PutOptions& options) = 0;
  // From the last layer and all tiers.
  virtual Status remove(std::string_view key) = 0;
  // From the tiers only.
  virtual void evict(std::string_view key) = 0;

  // Loads the value if need be and keeps it in the first tier until unpin or `until_ms` (since
  // 1970; 0: no end). False: there is no value, or pinned bytes are at their limit.
  virtual Result<bool> pin(std::string_view key, std::int64_t until_ms) = 0;
  // The same for a value that the caller has from this cache. `version` is version() of the key
  // from before it got the value. False also: the key may have been written since, get it again.
  virtual bool pin_found(std::string_view key, const Handle& value, std::uint64_t version,
                         std::int64_t until_ms) = 0;
  // Changes with every write of the key, and with those of some others.
  virtual std::uint64_t version(std::string_view key) const = 0;
  virtual bool unpin(std::string_view key) = 0;

  virtual std::size_t tier_count() const = 0;
  virtual Tier& tier(std::size_t number) = 0;  // 0: the dearest
  virtual LayeredStats stats() const = 0;
  // Ends pins whose time is over, removes and reports what has expired, gives memory back to the
  // system, and asks a server that failed whether it is back.
  virtual void maintain() = 0;
  // The same at once. Waits for moves under way and those waiting, and until all tiers know
  // what they hold.
  virtual void settle() = 0;
};

// `tiers` from the dearest to the cheapest, at most ReadCounts::kTiersMax. Without a `source` only
// calls that bring their own may load, and nothing can be put or removed.
std::unique_ptr<LayeredCache> make_layered_cache(std::vector<std::unique_ptr<Tier>> tiers,
                                                 std::shared_ptr<Source> source,
                                                 LayeredOptions options = {});

}  // namespace varve::cache
