#include "cache/layered/moves.h"

#include <utility>

namespace varve::cache {

void Moves::stop() {
  std::unique_lock lock(mutex_);
  is_stopped_ = true;
  waiting_.clear();
  bytes_ = 0;
  count_ = 0;
  while (is_running_ || is_posted_) idle_.wait(lock);
}

bool Moves::add(Move move) {
  {
    std::lock_guard lock(mutex_);
    const std::uint64_t bytes = move.value.bytes().size();
    if (is_stopped_ || waiting_.size() >= count_max_) return false;
    // One that is larger than the bound alone goes by itself.
    if (!waiting_.empty() && bytes_ + bytes > bytes_max_) return false;
    bytes_ += bytes;
    waiting_.push_back(std::move(move));
    count_.store(waiting_.size(), std::memory_order_relaxed);
    if (pool_ == nullptr || is_posted_ || is_running_) return true;
    is_posted_ = true;
  }
  if (pool_->post([this] { run(); })) return true;
  // Whoever adds the next one tries again.
  std::lock_guard lock(mutex_);
  is_posted_ = false;
  idle_.notify_all();
  return true;
}

void Moves::run_unless_pool() {
  if (count_.load(std::memory_order_relaxed) == 0 || pool_ != nullptr) return;
  run();
}

// Ends also when a move throws: nobody may wait for ever for the next.
class Moves::Running {
 public:
  Running(Moves& moves, std::unique_lock<std::mutex>& lock) : moves_(moves), lock_(lock) {
    moves_.is_running_ = true;
  }
  ~Running() {
    if (!lock_.owns_lock()) lock_.lock();
    moves_.is_running_ = false;
    moves_.idle_.notify_all();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  Moves& moves_;
  std::unique_lock<std::mutex>& lock_;
};

// One thread at a time: what a move makes necessary is added to the queue and made next.
void Moves::run() {
  std::unique_lock lock(mutex_);
  is_posted_ = false;
  if (is_running_) {
    idle_.notify_all();
    return;
  }
  const Running running(*this, lock);
  while (!waiting_.empty()) {
    {
      const Move move = std::move(waiting_.front());
      waiting_.pop_front();
      bytes_ -= move.value.bytes().size();
      count_.store(waiting_.size(), std::memory_order_relaxed);
      lock.unlock();
      make_(move);
    }
    lock.lock();
  }
}

void Moves::settle() {
  std::unique_lock lock(mutex_);
  while (is_running_ || is_posted_) idle_.wait(lock);
  if (waiting_.empty()) return;
  // There is no pool, or it refused.
  lock.unlock();
  run();
  lock.lock();
  while (is_running_ || is_posted_) idle_.wait(lock);
}

std::size_t Moves::count() const { return count_.load(std::memory_order_relaxed); }

std::uint64_t Moves::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace varve::cache
