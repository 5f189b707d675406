// Counters that every hit may add to without one core waiting for another.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cache/thread_record.h"

namespace varve::cache {

// `Count` counters. A lane that belongs to one thread alone is added to without an atomic
// read-modify-write; the last one is shared. Sums are exact once the adding threads were joined.
template <std::size_t Count>
class Counters {
 public:
  void add(std::size_t counter, std::uint64_t amount = 1) {
    add(this_thread_record(), counter, amount);
  }
  void add(const ThreadRecord& me, std::size_t counter, std::uint64_t amount = 1) {
    std::atomic<std::uint64_t>& value = lanes_.data()[me.lane].values[counter];
    if (!me.has_lane_alone()) [[unlikely]] {
      value.fetch_add(amount, std::memory_order_relaxed);
      return;
    }
    value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  std::uint64_t sum(std::size_t counter) const {
    std::uint64_t total = 0;
    for (const Lane& lane : lanes_) total += lane.values[counter].load(std::memory_order_relaxed);
    return total;
  }

 private:
  struct alignas(kApart) Lane {
    std::array<std::atomic<std::uint64_t>, Count> values{};
  };
  std::array<Lane, ThreadRecord::kLanes> lanes_;
};

}  // namespace varve::cache
