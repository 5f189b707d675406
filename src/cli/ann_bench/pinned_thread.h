// Keeps the calling thread on one core while it lives: all engines are measured on the same one.
#pragma once

#include <sched.h>

namespace varve::cli::ann_bench {

class PinnedThread {
 public:
  // Negative: anywhere. A core that is not to be had is no reason to stop.
  explicit PinnedThread(int core) {
    if (core < 0 || ::sched_getaffinity(0, sizeof(before_), &before_) != 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(core), &one);
    pinned_ = ::sched_setaffinity(0, sizeof(one), &one) == 0;
  }
  ~PinnedThread() {
    if (pinned_) static_cast<void>(::sched_setaffinity(0, sizeof(before_), &before_));
  }
  PinnedThread(const PinnedThread&) = delete;
  PinnedThread& operator=(const PinnedThread&) = delete;

 private:
  cpu_set_t before_{};
  bool pinned_ = false;
};

// The last core that this process may use.
inline int last_core() {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return -1;
  for (int core = CPU_SETSIZE - 1; core >= 0; --core) {
    if (CPU_ISSET(static_cast<unsigned>(core), &allowed)) return core;
  }
  return -1;
}

}  // namespace varve::cli::ann_bench
