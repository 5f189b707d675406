#include "cache/counters.h"

#include <bit>

namespace varve::cache {
namespace {

constexpr std::size_t kShared = kLanes - 1;
std::atomic<std::uint64_t> taken_lanes{0};

// Holds a lane from the first use of a thread to its end.
class Lane {
 public:
  Lane() {
    std::uint64_t taken = taken_lanes.load();
    do {
      number_ = static_cast<std::size_t>(std::countr_one(taken));
      if (number_ >= kShared) {
        number_ = kShared;
        return;
      }
    } while (!taken_lanes.compare_exchange_weak(taken, taken | std::uint64_t{1} << number_));
  }
  ~Lane() {
    if (number_ != kShared) taken_lanes.fetch_and(~(std::uint64_t{1} << number_));
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  std::size_t number() const { return number_; }

 private:
  std::size_t number_ = 0;
};

}  // namespace

namespace {
thread_local std::size_t known_lane = kLanes;  // of this thread; kLanes: not asked for yet
std::size_t find_lane() {
  thread_local const Lane lane;
  known_lane = lane.number();
  return known_lane;
}
}  // namespace

std::size_t counter_lane() { return known_lane < kLanes ? known_lane : find_lane(); }

}  // namespace varve::cache
