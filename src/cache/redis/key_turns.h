// Writes of one key, one after the other.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/clock.h"
#include "base/sync.h"

namespace varve::cache::redis {

// Keys share 64 turns by their hashes. All of a batch are taken at once, so that there is no order
// to take them in. Held over a round trip, which a mutex may not be. Thread-safe.
class KeyTurns {
 public:
  static std::uint64_t bit_of(std::uint64_t hash) { return std::uint64_t{1} << (hash >> 58); }

  // False: `deadline` (real time) came first.
  bool take(std::uint64_t bits, base::TimePoint deadline) {
    std::unique_lock lock(mutex_);
    while ((taken_ & bits) != 0) {
      if (base::system_clock().now() >= deadline) return false;
      given_.wait_until(lock, deadline);
    }
    taken_ |= bits;
    return true;
  }
  void give(std::uint64_t bits) {
    {
      const std::lock_guard lock(mutex_);
      taken_ &= ~bits;
    }
    given_.notify_all();
  }

 private:
  std::mutex mutex_;
  base::CondVar given_;
  std::uint64_t taken_ VARVE_GUARDED_BY(mutex_) = 0;
};

}  // namespace varve::cache::redis
