// Threads that the owner makes and passes down; the library makes none unasked.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace varve::base {

// Thread-safe.
class Pool {
 public:
  virtual ~Pool() = default;

  // Runs task(i) for every i in [0, count), the caller included, and returns when all are done.
  // Tasks must not throw and must not call parallel_for of the same pool.
  virtual void parallel_for(std::size_t count, const std::function<void(std::size_t)>& task) = 0;

  // Runs `task` some time later on a thread of the pool. False if the queue is full or the pool is
  // closing: the task will not run.
  virtual bool post(std::function<void()> task) = 0;

  // How many tasks of parallel_for can run at once, at least 1.
  virtual std::size_t width() const = 0;
};

// `threads` workers beside the caller; the destructor waits for the tasks that were accepted.
// `queue_max` bounds the tasks of `post` that wait.
std::unique_ptr<Pool> make_thread_pool(std::size_t threads, std::size_t queue_max = 1024);

// Runs everything in the calling thread, at once: for tests and simulation.
std::unique_ptr<Pool> make_inline_pool();

}  // namespace varve::base
