// Waiting between threads. Every wait of the engine is one of: CondVar, Turn, a store call, a clock
// sleep, a pool. A simulator takes all of them over, so that a seed decides which thread runs.
#pragma once

#include <condition_variable>
#include <mutex>

#include "base/clock.h"

// Checked by clang's -Wthread-safety where it is available.
#if defined(__clang__)
#define VARVE_GUARDED_BY(mutex) __attribute__((guarded_by(mutex)))
#else
#define VARVE_GUARDED_BY(mutex)
#endif

namespace varve::base {

// Implemented by the simulator; threads that it runs have it as their current scheduler, all other
// threads have none and use the operating system.
class ThreadScheduler {
 public:
  virtual ~ThreadScheduler() = default;
  // Parks the calling thread until wake(channel) or the moment `until`.
  virtual void block(const void* channel, TimePoint until) = 0;
  virtual void wake(const void* channel) = 0;
};

ThreadScheduler* current_scheduler();
void set_current_scheduler(ThreadScheduler* scheduler);

// A condition variable that a scheduler can take over. Wakes may be spurious: wait in a loop.
class CondVar {
 public:
  // REQUIRES: `lock` is held. No other lock is held.
  void wait(std::unique_lock<std::mutex>& lock);
  // Also returns at `until`.
  void wait_until(std::unique_lock<std::mutex>& lock, TimePoint until);
  void notify_all();

 private:
  std::condition_variable condition_;
};

// Mutual exclusion that may be held over I/O, which a mutex may not. Not recursive.
class Turn {
 public:
  class Held {
   public:
    explicit Held(Turn& turn) : turn_(&turn) { turn.take(); }
    ~Held() { turn_->give(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    Turn* turn_;
  };

  void take();
  // False if another thread has it.
  bool try_take();
  // False if another thread has it until then.
  bool take_until(const Clock& clock, TimePoint until);
  void give();

 private:
  std::mutex mutex_;
  CondVar free_;
  bool taken_ VARVE_GUARDED_BY(mutex_) = false;
};

}  // namespace varve::base
