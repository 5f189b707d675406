// What may be believed of entries on a server that can lose writes, or do them late.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/random.h"
#include "base/sync.h"

namespace varve::cache::redis {

// A prefix of keys, and which one in the life of the tier.
struct Epoch {
  std::shared_ptr<const std::string> prefix;
  std::uint64_t number = 0;
};

// Every record carries the sequence of its write, and the writes of one key take turns. After a
// write of sequence s failed, only records above s are believed: neither what the key had before,
// nor what the failed write may leave, now or when a server wakes up that holds it in a buffer.
// Such bounds are kept by the hash of the key, so that two keys that share one cost misses only.
// Too many bounds, or a server that may have gone back in time, begin a new epoch. Thread-safe.
class Trust {
 public:
  static constexpr std::size_t kBoundsMax = 4'096;

  // `fixed`: values never change, so that there is one epoch and all is believed.
  Trust(std::string name_space, bool fixed, std::uint64_t seed);

  // Above all before it.
  std::uint64_t next_sequence() { return sequence_.fetch_add(1, std::memory_order_relaxed); }
  Epoch epoch() const;
  void renew();
  // The write of `sequence` failed.
  void doubt(std::uint64_t hash, std::uint64_t sequence);
  // Whether a record that was read in `epoch` may be returned. Asked after the read.
  bool believes(std::uint64_t hash, std::uint64_t sequence, std::uint64_t epoch) const;

 private:
  // REQUIRES: mutex_ is held.
  void begin_epoch();

  const std::string name_space_;
  const bool fixed_;
  std::atomic<std::uint64_t> sequence_{1};
  base::Random random_;
  mutable std::mutex mutex_;
  Epoch epoch_ VARVE_GUARDED_BY(mutex_);
  // By hash: the least sequence that is believed.
  std::unordered_map<std::uint64_t, std::uint64_t> bounds_ VARVE_GUARDED_BY(mutex_);
};

}  // namespace varve::cache::redis
