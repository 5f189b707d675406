// A clock that moves only when told: for tests.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace varve::base {

// Thread-safe. Starts at `origin`; sleeping moves it at once.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Duration origin = std::chrono::seconds(1)) : now_(origin.count()) {}

  TimePoint now() const override { return TimePoint(Duration(now_.load())); }
  std::int64_t wall_ms() const override { return now_.load() / 1'000'000; }
  void sleep_for(Duration duration) override { advance(duration); }

  // REQUIRES: duration >= 0; time never runs backwards.
  void advance(Duration duration) { now_.fetch_add(duration.count()); }

 private:
  std::atomic<std::int64_t> now_;
};

}  // namespace varve::base
