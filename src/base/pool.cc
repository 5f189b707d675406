#include "base/pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace varve::base {
namespace {

// One parallel_for: indexes are handed out by a counter, so that fast threads take more.
struct Loop {
  const std::function<void(std::size_t)>* task;
  std::size_t count;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> done{0};
  std::mutex mutex;
  std::condition_variable finished;

  void run() {
    std::size_t ran = 0;
    for (std::size_t i = next++; i < count; i = next++, ++ran) (*task)(i);
    if (ran == 0) return;
    if (done.fetch_add(ran) + ran < count) return;
    std::lock_guard lock(mutex);
    finished.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex);
    finished.wait(lock, [this] { return done.load() == count; });
  }
};

class ThreadPool final : public Pool {
 public:
  ThreadPool(std::size_t threads, std::size_t queue_max) : queue_max_(queue_max) {
    threads_.reserve(threads);
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }

  ~ThreadPool() override {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  void parallel_for(std::size_t count, const std::function<void(std::size_t)>& task) override {
    if (count == 0) return;
    auto loop = std::make_shared<Loop>();
    loop->task = &task;
    loop->count = count;
    const std::size_t helpers = std::min(count - 1, threads_.size());
    for (std::size_t i = 0; i < helpers; ++i) enqueue([loop] { loop->run(); });
    loop->run();
    loop->wait();
  }

  bool post(std::function<void()> task) override {
    {
      std::lock_guard lock(mutex_);
      if (closing_ || queue_.size() >= queue_max_ || threads_.empty()) return false;
      queue_.push_back(std::move(task));
    }
    wake_.notify_one();
    return true;
  }

  std::size_t width() const override { return threads_.size() + 1; }

 private:
  void enqueue(std::function<void()> task) {
    {
      std::lock_guard lock(mutex_);
      // In front: a loop that somebody waits for goes before background work.
      queue_.push_front(std::move(task));
    }
    wake_.notify_one();
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (queue_.empty()) return;
      auto task = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

  const std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool closing_ = false;                     // guarded by mutex_
  std::vector<std::thread> threads_;
};

class InlinePool final : public Pool {
 public:
  void parallel_for(std::size_t count, const std::function<void(std::size_t)>& task) override {
    for (std::size_t i = 0; i < count; ++i) task(i);
  }
  bool post(std::function<void()> task) override {
    task();
    return true;
  }
  std::size_t width() const override { return 1; }
};

}  // namespace

std::unique_ptr<Pool> make_thread_pool(std::size_t threads, std::size_t queue_max) {
  return std::make_unique<ThreadPool>(threads, queue_max);
}

std::unique_ptr<Pool> make_inline_pool() { return std::make_unique<InlinePool>(); }

}  // namespace varve::base
