#include "cache/redis/breaker.h"

#include <algorithm>

namespace varve::cache::redis {

Breaker::Pass Breaker::ask() {
  if (is_closed()) return Pass::yes;
  const std::lock_guard lock(mutex_);
  if (is_closed()) return Pass::yes;
  if (probing_ || clock_.now() < probe_at_) return Pass::no;
  probing_ = true;
  return Pass::probe;
}

void Breaker::succeeded(Pass pass) {
  // One that was let through before the breaker opened says nothing about the server of now.
  // Threads may count a success too often: it is a matter of rates.
  if (pass == Pass::yes && is_closed() && score_.load(std::memory_order_relaxed) > 0) {
    score_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (pass != Pass::probe) return;
  const std::lock_guard lock(mutex_);
  probing_ = false;
  waits_ = 0;
  score_.store(0, std::memory_order_relaxed);
  closed_.store(true, std::memory_order_release);
}

void Breaker::failed(Pass pass) {
  if (pass == Pass::no) return;
  const std::int64_t limit = kFailure * options_.failures_to_open;
  // Successes while failures come in may have taken a little away.
  if (pass == Pass::yes &&
      score_.fetch_add(kFailure, std::memory_order_relaxed) + kFailure + kFailure / 2 < limit) {
    return;
  }
  const std::lock_guard lock(mutex_);
  if (pass == Pass::probe) {
    probing_ = false;
  } else if (!is_closed()) {
    return;
  }
  open();
}

void Breaker::gave_up(Pass pass) {
  if (pass != Pass::probe) return;
  const std::lock_guard lock(mutex_);
  probing_ = false;
}

void Breaker::trip() {
  const std::lock_guard lock(mutex_);
  if (is_closed()) open();
}

void Breaker::open() {
  closed_.store(false, std::memory_order_release);
  const base::Duration limit = options_.wait_max;
  const std::uint32_t doublings = std::min(waits_++, 30U);
  const base::Duration wait =
      base::Duration(options_.wait_min) > limit / (std::int64_t{1} << doublings)
          ? limit
          : base::Duration(options_.wait_min) * (std::int64_t{1} << doublings);
  const double share = 0.5 + random_.unit() / 2;
  probe_at_ =
      clock_.now() +
      base::Duration(static_cast<base::Duration::rep>(static_cast<double>(wait.count()) * share));
}

}  // namespace varve::cache::redis
