#include "base/sync.h"

#include "base/assert.h"

namespace varve::base {
namespace {
thread_local ThreadScheduler* scheduler_of_this_thread = nullptr;
}

ThreadScheduler* current_scheduler() { return scheduler_of_this_thread; }
void set_current_scheduler(ThreadScheduler* scheduler) { scheduler_of_this_thread = scheduler; }

void CondVar::wait(std::unique_lock<std::mutex>& lock) {
  if (scheduler_of_this_thread == nullptr) {
    condition_.wait(lock);
    return;
  }
  wait_until(lock, TimePoint::max());
}

void CondVar::wait_until(std::unique_lock<std::mutex>& lock, TimePoint until) {
  if (scheduler_of_this_thread == nullptr) {
    condition_.wait_until(lock, until);
    return;
  }
  // Nothing is lost between unlock and block: under a scheduler only one thread runs.
  lock.unlock();
  scheduler_of_this_thread->block(this, until);
  lock.lock();
}

void CondVar::notify_all() {
  condition_.notify_all();
  if (scheduler_of_this_thread != nullptr) scheduler_of_this_thread->wake(this);
}

void Turn::take() {
  std::unique_lock lock(mutex_);
  while (taken_) free_.wait(lock);
  taken_ = true;
}

bool Turn::try_take() {
  std::unique_lock lock(mutex_);
  if (taken_) return false;
  taken_ = true;
  return true;
}

bool Turn::take_until(const Clock& clock, TimePoint until) {
  std::unique_lock lock(mutex_);
  while (taken_ && clock.now() < until) free_.wait_until(lock, until);
  if (taken_) return false;
  taken_ = true;
  return true;
}

void Turn::give() {
  {
    std::unique_lock lock(mutex_);
    VARVE_ASSERT(taken_);
    taken_ = false;
  }
  free_.notify_all();
}

}  // namespace varve::base
