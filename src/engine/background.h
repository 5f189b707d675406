// What an index does unasked: folds its tail once it has grown, keeps its clusters in shape, and
// pins what is new in an index that is pinned.
#pragma once

#include <mutex>
#include <string>

#include "base/sync.h"
#include "engine/core.h"
#include "engine/view.h"

namespace varve::engine {

// Thread-safe. Does nothing if the Env has no background pool, and only follows pins if
// `fold_ops_min` is 0.
class Background {
 public:
  // `core` outlives it.
  explicit Background(Core& core) : core_(core) {}
  ~Background() { close(); }

  // Call after each write: starts a run if the tail is large enough, none is under way, and the
  // last one did not fail a moment ago.
  void consider();
  // Call with each view: if the index is pinned and the view has another generation than the last
  // one, pins what is new in it. What fails is tried again with the next generation.
  void follow_pin(const View& view);
  // Why the last run failed; empty if it did not.
  std::string last_error() const;
  // Starts no more runs and waits for those under way. Idempotent.
  void close();

 private:
  // Failures in a row, and until when to wait after them.
  struct BackOff {
    unsigned failures = 0;
    base::TimePoint not_before = base::TimePoint::min();
  };

  bool is_due() const;
  void run();
  void finish(const Status& folded, const Status& kept_up);
  void finish_pin(const Status& pinned);

  Core& core_;
  mutable std::mutex mutex_;
  base::CondVar finished_;
  bool running_ VARVE_GUARDED_BY(mutex_) = false;
  bool pinning_ VARVE_GUARDED_BY(mutex_) = false;
  std::string pinned_manifest_ VARVE_GUARDED_BY(mutex_);  // of the last generation that was pinned
  bool closed_ VARVE_GUARDED_BY(mutex_) = false;
  // Apart: folds must go on when a rebuild cannot succeed, or the tail fills up.
  BackOff fold_ VARVE_GUARDED_BY(mutex_);
  BackOff upkeep_ VARVE_GUARDED_BY(mutex_);
  std::string last_error_ VARVE_GUARDED_BY(mutex_);
};

}  // namespace varve::engine
