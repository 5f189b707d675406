// Which entries expire next, without ordering all of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "cache/policy/slot_list.h"

namespace varve::cache {

// Hierarchical timing wheels (Varghese and Lauck, SOSP 1987): a slot waits in a bucket of the
// coarsest wheel that its time needs and moves to finer ones as the time comes near. Times in
// milliseconds. One thread at a time.
class TimingWheel {
 public:
  explicit TimingWheel(std::int64_t now_ms) : now_(now_ms) {}

  // REQUIRES: not in it.
  void insert(SlotId slot, std::int64_t expires_ms) {
    if (slot >= times_.size()) times_.resize(std::size_t{slot} + 1);
    times_[slot].at = expires_ms;
    place(slot);
    ++size_;
  }
  bool holds(SlotId slot) const { return slot < times_.size() && times_[slot].bucket != kNone; }
  // REQUIRES: in it.
  void remove(SlotId slot) {
    bucket(times_[slot].bucket).remove(links_, slot, 0);
    times_[slot].bucket = kNone;
    --size_;
  }
  // Takes out what has expired by now_ms and hands each slot to `take`, which leaves the wheel
  // alone.
  template <typename Take>
  void advance(std::int64_t now_ms, const Take& take) {
    if (now_ms <= now_) return;
    const std::int64_t before = now_;
    now_ = now_ms;
    for (std::size_t level = 0; level < kLevels; ++level) {
      const std::int64_t first = before >> shift(level);
      const std::int64_t last = now_ms >> shift(level);
      const std::int64_t passed = std::min<std::int64_t>(last - first, kBuckets - 1);
      for (std::int64_t i = 0; i <= passed; ++i) {
        empty(level * kBuckets + static_cast<std::size_t>((first + i) & (kBuckets - 1)), take);
      }
      if (first == last) break;
    }
  }
  std::size_t size() const { return size_; }
  std::size_t resident_bytes() const {
    return sizeof(*this) + links_.capacity() * sizeof(SlotLink) + times_.capacity() * sizeof(Time);
  }

 private:
  static constexpr std::size_t kLevels = 4;
  static constexpr std::int64_t kBuckets = 64;
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  // Buckets of 64 ms, 4 s, 4 minutes and 5 hours.
  static constexpr int shift(std::size_t level) { return 6 * (static_cast<int>(level) + 1); }

  struct Time {
    std::int64_t at = 0;
    std::uint32_t bucket = kNone;
  };

  SlotList& bucket(std::size_t number) { return buckets_[number]; }
  void place(SlotId slot) {
    Time& time = times_[slot];
    const std::int64_t at = std::max(time.at, now_);
    std::size_t level = 0;
    while (level + 1 < kLevels && (at >> shift(level)) - (now_ >> shift(level)) >= kBuckets) {
      ++level;
    }
    // Further away than the last wheel reaches: looked at again when its farthest bucket comes up.
    const std::int64_t tick = std::min(at >> shift(level), (now_ >> shift(level)) + kBuckets - 1);
    time.bucket = static_cast<std::uint32_t>(level * kBuckets) +
                  static_cast<std::uint32_t>(tick & (kBuckets - 1));
    bucket(time.bucket).push_back(links_, slot, 0);
  }
  template <typename Take>
  void empty(std::size_t number, const Take& take) {
    SlotList waiting = bucket(number);
    bucket(number) = SlotList{};
    while (!waiting.empty()) {
      const SlotId slot = waiting.front();
      waiting.remove(links_, slot, 0);
      if (times_[slot].at > now_) {
        place(slot);
        continue;
      }
      times_[slot].bucket = kNone;
      --size_;
      take(slot);
    }
  }

  std::int64_t now_;
  std::size_t size_ = 0;
  std::vector<SlotLink> links_;
  std::vector<Time> times_;
  std::array<SlotList, kLevels * kBuckets> buckets_;
};

}  // namespace varve::cache
