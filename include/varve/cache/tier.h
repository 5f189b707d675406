// One layer of a cache: memory, disk, a shared server. Each keeps bytes for a while and may lose
// them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "varve/cache/handle.h"

namespace varve::cache {

inline constexpr std::size_t kKeyBytesMax = 1024;
inline constexpr std::uint64_t kValueBytesMax = (std::uint64_t{1} << 32) - 1;

// XXH3 with 64 bits of `bytes`: the hash of every key in this library.
std::uint64_t hash_of_key(std::string_view bytes);

// A key of 1 to kKeyBytesMax bytes, any bytes, with its hash. Borrows.
struct Key {
  explicit Key(std::string_view text) : bytes(text), hash(hash_of_key(text)) {}
  Key(std::string_view text, std::uint64_t known_hash) : bytes(text), hash(known_hash) {}

  std::string_view bytes;
  std::uint64_t hash;
};

// Why an entry left a tier.
enum class Cause : std::uint8_t {
  evicted,   // the tier was full
  expired,   // its time was over
  replaced,  // by a newer value of the same key
  removed,   // somebody asked for it
  lost,      // its bytes were damaged, or the place where they lay is gone
};
std::string_view to_string(Cause cause);

// An entry that left. `value` is empty where the tier would have to read it from a device.
struct Removal {
  std::string_view key;
  std::uint64_t hash = 0;
  Handle value;
  Cause cause = Cause::evicted;
  bool was_hit = false;       // since it came in
  std::uint64_t version = 0;  // what TierOwner::version said when it left
};

// Called once for each entry that left, outside of all locks, by the thread that made it leave.
// That of an expired entry comes before a new value of its key is visible. Under
// a LayeredCache it may be told in the middle of a write: one that uses that cache is a mistake,
// and may end the process.
using RemovalCallback = std::function<void(const Removal&)>;

// What a tier's owner tells it. Thread-safe, never blocks.
class TierOwner {
 public:
  virtual ~TierOwner() = default;
  // Changes with every write to keys of this hash; read at the moment an entry leaves.
  virtual std::uint64_t version(std::uint64_t hash) const = 0;
  // Called as a RemovalCallback, and after it.
  virtual void left(const Removal& removal) = 0;
};

// Bounds of a tier; 0: none.
struct Capacity {
  std::uint64_t bytes = 0;  // all that an entry costs: value, key, bookkeeping, rounding
  std::uint64_t items = 0;
};

struct PutOptions {
  std::int64_t expires_ms = 0;  // since 1970; 0: never
};

// Counters grow from the start of the process; the others are as of now.
struct TierStats {
  std::uint64_t hits = 0, misses = 0;
  std::uint64_t insertions = 0, rejected = 0;  // not kept: too large, or no room beside pinned ones
  std::uint64_t evicted = 0, expired = 0, replaced = 0, removed = 0, lost = 0;
  std::uint64_t errors = 0;   // of the device or the network; each was answered as a miss
  std::uint64_t corrupt = 0;  // bytes that failed a check; each was answered as a miss
  std::uint64_t items = 0;
  std::uint64_t value_bytes = 0;     // of the values as they are kept
  std::uint64_t raw_bytes = 0;       // of the same values before compression
  std::uint64_t resident_bytes = 0;  // memory charged against the capacity, bookkeeping included
  // Memory for bookkeeping, included above for memory tiers. Not included is what compression takes
  // in the whole process, which a tier that compresses adds here.
  std::uint64_t index_bytes = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t pinned_items = 0, pinned_bytes = 0;  // by pin()
  // Memory of entries that left while handles to them live. Not charged: it is the callers'.
  std::uint64_t held_bytes = 0;
  std::uint64_t round_trips = 0;  // to a server
  bool available = true;          // false: switched off for now after failures (circuit breaker)
};

// Thread-safe: any method, any thread. Nothing here fails: what cannot be read, found, decoded or
// reached is a miss and is counted.
class Tier {
 public:
  virtual ~Tier() = default;

  virtual std::string_view name() const = 0;  // "ram", "ram-compressed", "disk", "redis"

  // Empty: a miss. The bytes are as the tier keeps them: see Handle::method.
  virtual Handle get(const Key& key) = 0;
  // Fills out[i] for each key that it has and whose out[i] is empty. REQUIRES: equal sizes.
  virtual void get_batch(std::span<const Key> keys, std::span<Handle> out);
  // Keeps the value, or a copy of it; false if not. What it held under the key is gone either way.
  // A value may come encoded (Handle::method); a tier that keeps values raw decodes it.
  virtual bool put(const Key& key, const Handle& value, const PutOptions& options) = 0;
  virtual void put_batch(std::span<const Key> keys, std::span<const Handle> values,
                         const PutOptions& options);
  // Whether there was one.
  virtual bool remove(const Key& key) = 0;
  // False: certainly not there. Cheap: no read of a device, no network.
  virtual bool may_contain(const Key& key) const = 0;
  // Whether may_contain() says more than "perhaps", so that what it claims to have need not be put
  // again. Who answers false is asked for many keys at once where that is possible.
  virtual bool knows_its_keys() const { return true; }

  // Keeps the entry until unpin or `until_ms` (since 1970; 0: no end), which reads do not move. A
  // newer value of the key is pinned as the one before was, also if it is larger: where that is too
  // much, maintain() ends pins. False: not there, or its end is over, or pinned bytes are at their
  // limit.
  virtual bool pin(const Key& key, std::int64_t until_ms) = 0;
  // A put() whose entry is pinned before it can be evicted. False: not kept, or kept but not
  // pinned.
  virtual bool put_pinned(const Key& key, const Handle& value, const PutOptions& options,
                          std::int64_t until_ms);
  virtual bool unpin(const Key& key) = 0;
  // By pin(); a put over such an entry has to keep it so.
  virtual bool is_pinned(const Key&) const { return false; }

  // Calls `take(key, bytes as kept, pinned)` for each entry; false ends it. Entries that come and
  // go meanwhile may be seen or not.
  using Visit = std::function<bool(std::string_view key, std::uint64_t bytes, bool pinned)>;
  virtual void each(const Visit& take) const = 0;

  // Evicts what does not fit any more.
  virtual void set_capacity(const Capacity& capacity) = 0;
  virtual Capacity capacity() const = 0;
  virtual TierStats stats() const = 0;
  // Removes what has expired and does what else was put off. Called now and then.
  virtual void maintain() = 0;

  // Waits until the entries that an earlier process left are known, so long at most. False: they
  // are not all known yet.
  virtual bool wait_until_known(std::chrono::milliseconds at_most);
  // Whether entries outlive the process, so that a loaded value is worth writing at once.
  virtual bool is_persistent() const { return false; }
  // Once, before the first put; null: nobody. The owner outlives the tier.
  virtual void set_owner(TierOwner* owner) = 0;
};

}  // namespace varve::cache
