// A thread that does again and again what nobody asks for.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/sync.h"

namespace varve::cache {

class Upkeep {
 public:
  Upkeep() = default;
  ~Upkeep() { stop(); }
  Upkeep(const Upkeep&) = delete;
  Upkeep& operator=(const Upkeep&) = delete;

  // REQUIRES: called once; `every` is above 0.
  void start(std::chrono::milliseconds every, std::function<void()> task) {
    thread_ = std::thread([this, every, task = std::move(task)] {
      while (wait(every)) task();
    });
  }
  // Waits for the task if it is under way; it does not run again.
  void stop() {
    {
      std::lock_guard lock(mutex_);
      is_stopped_ = true;
      stopped_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  // False: it is over.
  bool wait(std::chrono::milliseconds time) {
    const base::TimePoint until = base::system_clock().now() + time;
    std::unique_lock lock(mutex_);
    while (!is_stopped_ && base::system_clock().now() < until) stopped_.wait_until(lock, until);
    return !is_stopped_;
  }

  std::mutex mutex_;
  base::CondVar stopped_;
  bool is_stopped_ VARVE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace varve::cache
