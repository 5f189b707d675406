// Appends to the log: take-over of the index from other processes, and group commit.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <span>

#include "base/result.h"
#include "base/sync.h"
#include "engine/env.h"
#include "engine/head_io.h"
#include "engine/names.h"
#include "engine/reader.h"
#include "format/log.h"
#include "varve/types.h"

namespace varve::engine {

// Thread-safe. One log object is under way at a time, so that writes of one key are never
// overtaken; threads that come meanwhile share the next one.
class Writer {
 public:
  Writer(const Env& env, Names names, const format::Uuid& index, Reader& reader);

  // Acknowledged when it returns: the operations stand in the log together, and every strong read
  // that starts later sees them. Returns the LSN of the last one. REQUIRES: validated operations.
  // `unavailable`, `cancelled`: not known whether they were written. Others: certainly not, and
  // `overloaded`: the tail or the queue of writes is full.
  Result<Lsn> commit(std::span<const format::LogOp> ops);

  // Makes this process the owner if it is not, by asking HEAD, and returns the epoch.
  Result<std::uint64_t> ensure_owner();
  // Writes a log object without operations, which reserves its position in the order of writes.
  Result<format::LogPosition> mark();

  // Refuses further commits with `cancelled` and waits for those under way. Idempotent.
  void close();

 private:
  struct Waiter {
    std::span<const format::LogOp> ops;
    std::optional<Result<Lsn>> result;
  };

  // All of these hold lane_.
  Result<format::LogPosition> append(std::span<const format::LogOp> ops);
  // nullopt: fenced before it was written.
  Result<std::optional<format::LogPosition>> try_append(std::span<const format::LogOp> ops);
  Result<std::uint64_t> own();
  Status take_over();
  // The lane closes until the next take-over.
  void disown();
  Status replay_and_seal(Tail& tail, std::uint64_t epoch, std::uint32_t dim);

  Status check_tail();
  void lead(std::unique_lock<std::mutex>& lock);

  const Env& env_;
  const Names names_;
  const format::Uuid index_;
  Reader& reader_;

  base::Turn lane_;                     // held over the write of a log object and over a take-over
  std::optional<std::uint64_t> epoch_;  // with lane_: owned, as far as known
  std::uint64_t next_seq_ = 0;          // with lane_
  base::Sha256 previous_{};             // with lane_
  std::uint32_t dim_ = 0;               // with lane_

  std::mutex mutex_;
  base::CondVar changed_;
  std::deque<Waiter*> queue_ VARVE_GUARDED_BY(mutex_);
  std::size_t queued_bytes_ VARVE_GUARDED_BY(mutex_) = 0;
  bool leading_ VARVE_GUARDED_BY(mutex_) = false;
  bool closed_ VARVE_GUARDED_BY(mutex_) = false;
};

}  // namespace varve::engine
