// Time, handed in so that a simulation can own it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

namespace varve::base {

using Duration = std::chrono::nanoseconds;
// Monotonic; the origin is arbitrary.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  // Milliseconds since 1970, for people and hints; never decides about data.
  virtual std::int64_t wall_ms() const = 0;
  virtual void sleep_for(Duration duration) = 0;
};

// The real clock, one for the process.
Clock& system_clock();

// A moment after which a call gives up with `cancelled`. Passed by value down the calls.
class Deadline {
 public:
  static Deadline never() { return Deadline(TimePoint::max()); }
  static Deadline after(const Clock& clock, Duration duration) {
    return Deadline(clock.now() + duration);
  }
  explicit Deadline(TimePoint at) : at_(at) {}

  bool passed(const Clock& clock) const { return at_ != TimePoint::max() && clock.now() >= at_; }
  TimePoint at() const { return at_; }
  // The earlier of the two.
  Deadline or_after(const Clock& clock, Duration duration) const {
    return Deadline(std::min(at_, clock.now() + duration));
  }

 private:
  TimePoint at_;
};

}  // namespace varve::base
