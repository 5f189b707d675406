// How long to wait for a server.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace varve::cache::redis {

// Up to a time-out for each reply, as long as they come, and a bound for all of them. One thread.
class Patience {
 public:
  static constexpr int kTimeoutsMax = 10;

  // No more than the time-out in all.
  static Patience once(base::TimePoint now, base::Duration timeout) {
    return {now, timeout, now + timeout};
  }
  static Patience while_it_comes(base::TimePoint now, base::Duration timeout) {
    return {now, timeout, now + kTimeoutsMax * timeout};
  }

  base::TimePoint until() const { return until_; }
  void note_progress(base::TimePoint now) { until_ = std::min(now + timeout_, bound_); }
  // Replies came to the end: it was asked for too much, which is no failure.
  bool was_too_much(base::TimePoint now) const {
    return now >= bound_ && until_ == bound_ && goes_on_;
  }

 private:
  Patience(base::TimePoint now, base::Duration timeout, base::TimePoint bound)
      : timeout_(timeout), bound_(bound), until_(now + timeout), goes_on_(bound > until_) {}

  base::Duration timeout_;
  base::TimePoint bound_;
  base::TimePoint until_;
  bool goes_on_;
};

}  // namespace varve::cache::redis
