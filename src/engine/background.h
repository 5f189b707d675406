// What an index does unasked: folds its tail once it has grown, and rebuilds clusters that no
// longer fit their rows.
#pragma once

#include <mutex>
#include <string>

#include "base/sync.h"
#include "engine/core.h"

namespace varve::engine {

// Thread-safe. Does nothing if the Env has no background pool or `fold_ops_min` is 0.
class Background {
 public:
  // `core` outlives it.
  explicit Background(Core& core) : core_(core) {}
  ~Background() { close(); }

  // Call after each write: starts a run if the tail is large enough, none is under way, and the
  // last one did not fail a moment ago.
  void consider();
  // Why the last run failed; empty if it did not.
  std::string last_error() const;
  // Starts no more runs and waits for the one under way. Idempotent.
  void close();

 private:
  // Failures in a row, and until when to wait after them.
  struct BackOff {
    unsigned failures = 0;
    base::TimePoint not_before = base::TimePoint::min();
  };

  bool is_due() const;
  void run();
  // Removes what folds replaced; rebuilds clusters.
  Status keep_up();
  void finish(const Status& folded, const Status& kept_up);

  Core& core_;
  mutable std::mutex mutex_;
  base::CondVar finished_;
  bool running_ VARVE_GUARDED_BY(mutex_) = false;
  bool closed_ VARVE_GUARDED_BY(mutex_) = false;
  // Apart: folds must go on when a rebuild cannot succeed, or the tail fills up.
  BackOff fold_ VARVE_GUARDED_BY(mutex_);
  BackOff upkeep_ VARVE_GUARDED_BY(mutex_);
  std::string last_error_ VARVE_GUARDED_BY(mutex_);
};

}  // namespace varve::engine
