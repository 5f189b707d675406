// Who registered a job, as a text in HEAD; and whether it can still be running.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>

#include "base/sync.h"

namespace varve::engine {

// "host:boot:namespace:pid": the name of the host, the id of its boot, the inode of the pid
// namespace, in which alone the pid means something. A fifth field may follow.
std::string process_identity();

// True if the process that `owner` names does not exist any more, for certain: the host has been
// booted since, or the pid is free in the namespace of `self`, an identity of this process. A host
// is known by its boot, else by its name. False where that cannot be known, as from another
// container.
bool process_is_gone(const std::string& owner, const std::string& self = process_identity());

// Jobs that run on one Core. A listed job of this owner that is not among them has ended, and could
// not take itself off the list. Thread-safe.
class OwnJobs {
 public:
  // Stands from before the job is registered until its end.
  class Running {
   public:
    explicit Running(OwnJobs& jobs);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    // It got this id.
    void registered(std::uint64_t id);

   private:
    OwnJobs& jobs_;
    std::uint64_t id_ = 0;
    bool is_registered_ = false;
  };

  // Also true of any id while a job is being registered.
  bool may_run(std::uint64_t id) const;

 private:
  mutable std::mutex mutex_;
  std::set<std::uint64_t> ids_ VARVE_GUARDED_BY(mutex_);
  std::size_t registering_ VARVE_GUARDED_BY(mutex_) = 0;
};

}  // namespace varve::engine
