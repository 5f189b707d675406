// Stops asking a server that fails.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/clock.h"
#include "base/random.h"
#include "base/sync.h"
#include "varve/cache/redis.h"

namespace varve::cache::redis {

// Closed: everybody may ask. Open: nobody, until a wait is over. Then one call at a time is let
// through to probe; its success closes the breaker, its failure doubles the wait. Thread-safe.
class Breaker {
 public:
  enum class Pass : std::uint8_t { no, yes, probe };

  // `clock` outlives it.
  Breaker(const BreakerOptions& options, const base::Clock& clock, std::uint64_t seed)
      : options_(options), clock_(clock), random_(seed) {}

  // Each Pass but `no` is answered once, by succeeded or failed.
  Pass ask();
  void succeeded(Pass pass);
  void failed(Pass pass);
  // The caller learned nothing about the server.
  void gave_up(Pass pass);
  // Opens at once.
  void trip();

  bool is_closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  static constexpr std::int64_t kFailure = 64;

  // REQUIRES: mutex_ is held.
  void open();

  const BreakerOptions options_;
  const base::Clock& clock_;
  base::Random random_;
  std::atomic<bool> closed_{true};
  // A failure adds kFailure, a success takes 1 away.
  std::atomic<std::int64_t> score_{0};
  std::mutex mutex_;
  base::TimePoint probe_at_ VARVE_GUARDED_BY(mutex_){};
  std::uint32_t waits_ VARVE_GUARDED_BY(mutex_) = 0;
  bool probing_ VARVE_GUARDED_BY(mutex_) = false;
};

}  // namespace varve::cache::redis
