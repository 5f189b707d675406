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
  bool is_due() const;
  void run();
  Status fold_and_rebuild();
  void finish(const Status& done);

  Core& core_;
  mutable std::mutex mutex_;
  base::CondVar finished_;
  bool running_ VARVE_GUARDED_BY(mutex_) = false;
  bool closed_ VARVE_GUARDED_BY(mutex_) = false;
  unsigned failures_ VARVE_GUARDED_BY(mutex_) = 0;  // one after the other
  base::TimePoint not_before_ VARVE_GUARDED_BY(mutex_) = base::TimePoint::min();
  std::string last_error_ VARVE_GUARDED_BY(mutex_);
};

}  // namespace varve::engine
