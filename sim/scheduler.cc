#include "sim/scheduler.h"

#include <algorithm>
#include <cstdio>

namespace varve::sim {

void Trace::add(std::uint64_t value) {
  // The finaliser of MurmurHash3, chained.
  std::uint64_t mixed = (hash_ ^ value) * 0xff51afd7ed558ccd;
  mixed ^= mixed >> 33;
  mixed *= 0xc4ceb9fe1a85ec53;
  hash_ = mixed ^ (mixed >> 33);
}

void Trace::add(std::string_view text) {
  add(text.size());
  for (const char letter : text) add(static_cast<unsigned char>(letter));
}

void Scheduler::spawn(std::function<void()> body) {
  auto task = std::make_unique<Task>();
  task->body = std::move(body);
  tasks_.push_back(std::move(task));
}

void Scheduler::run(const std::function<void()>& on_deadlock) {
  on_deadlock_ = on_deadlock;
  std::unique_lock lock(mutex_);
  left_ = tasks_.size();
  current_ = tasks_.size();
  for (std::size_t self = 0; self < tasks_.size(); ++self) {
    tasks_[self]->thread = std::thread([this, self] {
      base::set_current_scheduler(this);
      {
        std::unique_lock own(mutex_);
        tasks_[self]->baton.wait(own, [&] { return current_ == self; });
      }
      tasks_[self]->body();
      base::set_current_scheduler(nullptr);
      std::unique_lock own(mutex_);
      tasks_[self]->done = true;
      if (--left_ == 0) {
        finished_.notify_all();
        return;
      }
      choose_next();
      tasks_[current_]->baton.notify_one();
    });
  }
  if (left_ > 0) {
    choose_next();
    tasks_[current_]->baton.notify_one();
    finished_.wait(lock, [&] { return left_ == 0; });
  }
  lock.unlock();
  for (auto& task : tasks_) task->thread.join();
  tasks_.clear();
}

void Scheduler::choose_next() {
  std::vector<std::size_t> ready;
  base::TimePoint earliest = base::TimePoint::max();
  for (const auto& task : tasks_) {
    if (!task->done && task->waiting) earliest = std::min(earliest, task->until);
  }
  for (int pass = 0; pass < 2 && ready.empty(); ++pass) {
    if (pass == 1) now_ = std::max(now_, earliest);
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      const Task& task = *tasks_[i];
      if (task.done) continue;
      const bool due = task.until <= now_ && task.until != base::TimePoint::max();
      if (!task.waiting || due) ready.push_back(i);
    }
  }
  if (ready.empty()) on_deadlock_();
  current_ = ready[random_.below(ready.size())];
  tasks_[current_]->waiting = false;
  tasks_[current_]->until = base::TimePoint::max();
  tasks_[current_]->channel = nullptr;
  ++step_;
  trace_.add(current_);
}

void Scheduler::hand_over(std::unique_lock<std::mutex>& lock, std::size_t self) {
  choose_next();
  if (current_ == self) return;
  tasks_[current_]->baton.notify_one();
  tasks_[self]->baton.wait(lock, [&] { return current_ == self; });
}

void Scheduler::park(std::size_t self, const void* channel, base::TimePoint until) {
  tasks_[self]->waiting = true;
  tasks_[self]->channel = channel;
  tasks_[self]->until = until;
}

void Scheduler::yield() {
  std::unique_lock lock(mutex_);
  if (random_.unit() < stay_) {
    ++step_;
    return;
  }
  hand_over(lock, current_);
}

void Scheduler::tell(std::string_view what, std::string_view about, std::string_view outcome) {
  trace_.add(what);
  trace_.add(about);
  trace_.add(outcome);
  if (!verbose_) return;
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now_.time_since_epoch());
  std::fprintf(stderr, "%8llu %12lld us  thread %zu  %.*s %.*s %.*s\n",
               static_cast<unsigned long long>(step_), static_cast<long long>(us.count()), current_,
               static_cast<int>(what.size()), what.data(), static_cast<int>(about.size()),
               about.data(), static_cast<int>(outcome.size()), outcome.data());
}

void Scheduler::sleep_until(base::TimePoint until) { block(nullptr, until); }

void Scheduler::block(const void* channel, base::TimePoint until) {
  std::unique_lock lock(mutex_);
  const std::size_t self = current_;
  park(self, channel, until);
  hand_over(lock, self);
}

void Scheduler::wake(const void* channel) {
  std::unique_lock lock(mutex_);
  for (auto& task : tasks_) {
    if (task->waiting && task->channel == channel && channel != nullptr) task->waiting = false;
  }
}

std::int64_t SimClock::wall_ms() const {
  constexpr std::int64_t kStartMs = 1'700'000'000'000;
  return kStartMs +
         std::chrono::duration_cast<std::chrono::milliseconds>(scheduler_.now().time_since_epoch())
             .count();
}

void SimClock::sleep_for(base::Duration duration) {
  scheduler_.sleep_until(scheduler_.now() + duration);
}

}  // namespace varve::sim
