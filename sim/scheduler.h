// Runs real threads one at a time: at each seam a seed decides which one goes on. Time is virtual
// and jumps when all of them wait.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/sync.h"

namespace varve::sim {

// Everything that happens is mixed into one number; two runs that agree in it did the same.
class Trace {
 public:
  void add(std::uint64_t value);
  void add(std::string_view text);
  std::uint64_t hash() const { return hash_; }

 private:
  std::uint64_t hash_ = 0x9e3779b97f4a7c15;
};

// One thread has the baton; all methods but spawn and run are for that thread. Since only it runs,
// what the simulation itself shares between its threads needs no lock.
class Scheduler final : public base::ThreadScheduler {
 public:
  // `stay`: probability that a thread goes on at a seam without a choice.
  Scheduler(std::uint64_t seed, double stay) : random_(seed), stay_(stay) {}

  // Before run().
  void spawn(std::function<void()> body);
  // Runs all threads to their end. Threads that wait for each other for ever end the process with
  // `on_deadlock`.
  void run(const std::function<void()>& on_deadlock);

  // A seam: another thread may go on from here.
  void yield();
  void sleep_until(base::TimePoint until);
  void block(const void* channel, base::TimePoint until) override;
  void wake(const void* channel) override;

  base::TimePoint now() const { return now_; }
  // Work that takes time but does not wait.
  void spend(base::Duration duration) { now_ += duration; }
  // Counts the seams passed: the order of all events.
  std::uint64_t step() const { return step_; }
  // Writes what is told to stderr too.
  void set_verbose() { verbose_ = true; }
  // Enters an event of the thread into the trace.
  void tell(std::string_view what, std::string_view about, std::string_view outcome);
  // Enters bytes or a number that would only be noise for people.
  template <typename Value>
  void mix(const Value& value) {
    trace_.add(value);
  }
  std::uint64_t trace_hash() const { return trace_.hash(); }

 private:
  struct Task {
    std::function<void()> body;
    std::thread thread;
    std::condition_variable baton;
    bool done = false;
    bool waiting = false;
    const void* channel = nullptr;
    base::TimePoint until = base::TimePoint::max();
  };

  // REQUIRES: mutex_ is held, for all of these.
  void choose_next();
  void hand_over(std::unique_lock<std::mutex>& lock, std::size_t self);
  void park(std::size_t self, const void* channel, base::TimePoint until);

  base::Random random_;
  const double stay_;
  std::function<void()> on_deadlock_;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::size_t current_ = 0;
  std::size_t left_ = 0;
  base::TimePoint now_{std::chrono::hours(1)};
  std::uint64_t step_ = 0;
  Trace trace_;
  bool verbose_ = false;
};

// The scheduler's time. wall_ms starts at a fixed date.
class SimClock final : public base::Clock {
 public:
  explicit SimClock(Scheduler& scheduler) : scheduler_(scheduler) {}
  base::TimePoint now() const override { return scheduler_.now(); }
  std::int64_t wall_ms() const override;
  void sleep_for(base::Duration duration) override;

 private:
  Scheduler& scheduler_;
};

}  // namespace varve::sim
