// Which entry of a full tier goes next.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "varve/result.h"

namespace varve::cache {

// Number of an entry's slot in the slab of its owner, dense from 0 and used again after removal.
using SlotId = std::uint32_t;

class Marks;
// Where a hit is noted by raising a mark, in place of a call of touch().
struct HitMarks {
  Marks* marks = nullptr;  // null: hits are told by touch()
  std::uint8_t most = 0;
};

// Orders the entries of one shard. Links slots by number and holds no key; of entries that are gone
// it remembers hashes at most. One thread at a time, the shard's lock, except for touch() where
// touch_is_concurrent(). Entries that must stay (pinned) are removed by the owner for as long and
// inserted again afterwards.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  virtual std::string_view name() const = 0;
  // An empty one of the same kind, for another shard.
  virtual std::unique_ptr<EvictionPolicy> fresh() const = 0;
  // What the entries may weigh together, in the unit of `charge`. Called before the first insert
  // and when the limit changes. Nothing is evicted here: the owner asks for victims.
  virtual void set_capacity(std::uint64_t capacity) = 0;
  // A new entry. `hash` is of its key, well mixed. REQUIRES: `slot` is not held, charge > 0.
  virtual void insert(SlotId slot, std::uint64_t hash, std::uint64_t charge) = 0;
  // A hit.
  virtual void touch(SlotId slot) = 0;
  // True: any thread may call touch() without the lock, at any time, even for a slot that was just
  // removed, where it does no harm. All else stays with the lock.
  virtual bool touch_is_concurrent() const = 0;
  // For policies of this library whose touch() is nothing but a mark.
  virtual HitMarks hit_marks() { return {}; }
  // The owner removed or pinned the entry. REQUIRES: held.
  virtual void remove(SlotId slot) = 0;
  // Takes out the entry that is to go. It may be the one inserted last: then it was not worth
  // keeping. REQUIRES: size() > 0.
  virtual SlotId evict() = 0;
  virtual std::size_t size() const = 0;
  // Memory that it holds, in bytes.
  virtual std::size_t resident_bytes() const = 0;
};

// What tiers use unless they are told otherwise: never more than a point of miss ratio behind LRU
// on the recorded traces (docs/benchmarks/cache-traces.md), and hits take no lock.
inline constexpr std::string_view kDefaultPolicy = "s3-fifo";
// Names in the order of documentation, the default first: s3-fifo, sieve, w-tinylfu, lru, lfu,
// fifo.
std::span<const std::string_view> policy_names();
// "+forecast" at the end of a name adds the admission of cache/policy/forecast.h.
// `invalid`: there is no such policy. `seed` decides only what a policy draws by chance.
Result<std::unique_ptr<EvictionPolicy>> make_policy(std::string_view name, std::uint64_t seed);

}  // namespace varve::cache
