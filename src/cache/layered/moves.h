// Values that wait to be moved to another tier.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "base/pool.h"
#include "base/sync.h"
#include "varve/cache/handle.h"

namespace varve::cache {

struct Move {
  std::string key;
  std::uint64_t hash = 0;
  Handle value;  // as the tier it comes from keeps it
  std::size_t from = 0;
  std::size_t to = 0;
  std::uint64_t version = 0;
};

// A bounded queue, emptied by a pool (which must not run tasks in the thread that posts them) or by
// whoever asks. Moves are made one at a time, outside of
// all locks and turns. Thread-safe.
class Moves {
 public:
  using Make = std::function<void(const Move&)>;

  Moves(std::size_t count_max, std::uint64_t bytes_max, base::Pool* pool, Make make)
      : count_max_(count_max), bytes_max_(bytes_max), pool_(pool), make_(std::move(make)) {}
  // Takes no more, drops what waits, and waits for what is being made. REQUIRES: called before the
  // end.
  void stop();

  // False: no room.
  bool add(Move move);
  // For callers that hold no turn: makes what waits, unless there is a pool to do it.
  void run_unless_pool();
  // Waits until nothing waits and nothing is being made.
  void settle();

  std::size_t count() const;
  std::uint64_t bytes() const;

 private:
  class Running;

  void run();

  const std::size_t count_max_;
  const std::uint64_t bytes_max_;
  base::Pool* const pool_;
  const Make make_;

  mutable std::mutex mutex_;
  base::CondVar idle_;
  std::deque<Move> waiting_ VARVE_GUARDED_BY(mutex_);
  std::uint64_t bytes_ VARVE_GUARDED_BY(mutex_) = 0;
  bool is_running_ VARVE_GUARDED_BY(mutex_) = false;
  bool is_posted_ VARVE_GUARDED_BY(mutex_) = false;
  bool is_stopped_ VARVE_GUARDED_BY(mutex_) = false;
  std::atomic<std::size_t> count_{0};  // of waiting_, to look without the lock
};

}  // namespace varve::cache
