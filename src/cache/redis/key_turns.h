// Writes of one key, one after the other.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>

#include "base/clock.h"
#include "base/sync.h"

namespace varve::cache::redis {

// Keys share 64 turns by their hashes. All of a batch are taken at once, so that there is no order
// to take them in, and whoever waits is not overtaken by those who want the same turns, so that
// single writes do not starve a batch. Held over a round trip, which a mutex may not be.
// Thread-safe.
class KeyTurns {
 public:
  static std::uint64_t bit_of(std::uint64_t hash) { return std::uint64_t{1} << (hash >> 58); }

  // False: `deadline` (real time) came first.
  bool take(std::uint64_t bits, base::TimePoint deadline) {
    std::unique_lock lock(mutex_);
    const auto mine = waiting_.insert(waiting_.end(), bits);
    bool free = is_free(mine);
    while (!free && base::system_clock().now() < deadline) {
      changed_.wait_until(lock, deadline);
      free = is_free(mine);
    }
    waiting_.erase(mine);
    if (free) taken_ |= bits;
    lock.unlock();
    // One behind may go now, or wait for fewer.
    if (!free) changed_.notify_all();
    return free;
  }
  void give(std::uint64_t bits) {
    {
      const std::lock_guard lock(mutex_);
      taken_ &= ~bits;
    }
    changed_.notify_all();
  }

 private:
  // REQUIRES: mutex_ is held.
  bool is_free(std::list<std::uint64_t>::const_iterator mine) const {
    std::uint64_t before = taken_;
    for (auto other = waiting_.begin(); other != mine; ++other) before |= *other;
    return (before & *mine) == 0;
  }

  std::mutex mutex_;
  base::CondVar changed_;
  std::uint64_t taken_ VARVE_GUARDED_BY(mutex_) = 0;
  std::list<std::uint64_t> waiting_ VARVE_GUARDED_BY(mutex_);  // first come, first served
};

}  // namespace varve::cache::redis
