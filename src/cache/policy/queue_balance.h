// How much of a cache of two queues belongs to newcomers.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "cache/policy/ghost.h"

namespace varve::cache {

// Moves the border between the queue of newcomers (small) and the main queue after what each lost
// too early. A key that is asked for again after its queue let go a charge of d would have been a
// hit had the queue been larger by d: a gain of 1/d for each unit of charge. Each such miss moves
// the border by that much towards the queue that gains. A fixed share loses to LRU wherever
// recency decides, a large one to everything else under scans and loops.
class QueueBalance {
 public:
  void set_capacity(std::uint64_t capacity) {
    const double share = capacity_ > 0 ? small_max_ / capacity_ : kFirstShare;
    capacity_ = static_cast<double>(capacity);
    tick_ = std::max<std::uint64_t>(1, capacity / kTicksPerCapacity);
    move_to(share * capacity_);
  }

  // What the small queue may weigh.
  double small_max() const { return small_max_; }
  double main_max() const { return capacity_ - small_max_; }

  // The queue let an entry go: the note to remember it with.
  Ghost::Note lose(bool from_main, std::uint64_t charge) {
    Clock& clock = clocks_[from_main];
    clock.rest += charge;
    clock.ticks += clock.rest / tick_;
    clock.rest %= tick_;
    return {from_main, static_cast<std::uint32_t>(clock.ticks & Ghost::kStampMask)};
  }

  // It was asked for again.
  void regret(Ghost::Note note, std::uint64_t charge) {
    const std::uint64_t ticks = (clocks_[note.from_main].ticks - note.stamp) & Ghost::kStampMask;
    const double distance = static_cast<double>(ticks * tick_);
    const double near = std::max(1.0, capacity_ * kNearShare);
    const double step = kStep * static_cast<double>(charge) * near / std::max(near, distance);
    move_to(note.from_main ? small_max_ - step : small_max_ + step);
  }

 private:
  static constexpr double kFirstShare = 0.1;
  static constexpr double kLeastShare = 0.01;
  static constexpr double kMostShare = 0.9;
  // Distances below this share of the capacity count as this share.
  static constexpr double kNearShare = 0.02;
  // A regret moves the border by so many times the entry's charge at most.
  static constexpr double kStep = 4;
  static constexpr std::uint64_t kTicksPerCapacity = 1024;

  // Charge that a queue let go, in ticks.
  struct Clock {
    std::uint64_t ticks = 0;
    std::uint64_t rest = 0;  // in charge, below a tick
  };

  void move_to(double small) {
    small_max_ = std::clamp(small, std::max(1.0, capacity_ * kLeastShare),
                            std::max(1.0, capacity_ * kMostShare));
  }

  double capacity_ = 0;
  double small_max_ = 1;
  std::uint64_t tick_ = 1;
  std::array<Clock, 2> clocks_;  // small, main
};

}  // namespace varve::cache
