// The part of the log that is not in clusters yet: searched exactly, by every query.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/sync.h"
#include "format/log.h"
#include "varve/types.h"

namespace varve::engine {

// Operations in the order of their LSN. It only grows; a view of it is a count of operations, and
// sees what that prefix says, so taking a view costs nothing. Thread-safe: one appender, any
// readers. What is handed to visitors borrows from the batches, which live as long as the tail.
class Tail {
 public:
  // `begin`: the first slot, which is the fold pointer that this tail belongs to.
  explicit Tail(format::LogPosition begin) : begin_(begin), next_(begin) {}

  struct Op {
    format::LogOp op;
    Lsn lsn;
  };
  struct Size {
    std::uint64_t ops = 0;
    std::uint64_t bytes = 0;    // of the operations, in memory and about so in the log
    std::uint64_t objects = 0;  // batches and seals: what a reader that starts has to fetch
  };
  static std::uint64_t bytes_of(const format::LogOp& op);

  // The batch at next(). Its operations become visible at once, together.
  void append(std::shared_ptr<const format::LogBatch> batch);
  // A seal stands at next(): the log goes on in the next epoch.
  void enter_next_epoch();

  format::LogPosition begin() const { return begin_; }
  // The first slot that is not in the tail.
  format::LogPosition next() const;
  std::size_t count() const;
  Size size() const;
  // The slot behind the batch that holds operation count - 1. REQUIRES: views end with batches.
  format::LogPosition end_of(std::size_t count) const;

  // Operations in front of `end`.
  std::size_t count_before(format::LogPosition end) const;

  // The newest operation on `key` among the first `count`; nullopt if there is none.
  std::optional<Op> newest(std::string_view key, std::size_t count) const;
  // Every operation among the first `count` that no later one of them replaced.
  void for_each_newest(std::size_t count, const std::function<void(const Op&)>& visit) const;
  // Batches wholly at or after `from`, in order: what a fold up to `from` leaves.
  std::vector<std::shared_ptr<const format::LogBatch>> batches_from(format::LogPosition from) const;
  std::vector<format::LogPosition> positions_before(format::LogPosition end) const;

 private:
  static constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();
  struct Slot {
    Op op;
    std::size_t replaced_by = kNever;  // index of the next operation on the same key
    std::size_t previous = kNever;     // index of the one before
  };

  const format::LogPosition begin_;
  mutable std::shared_mutex mutex_;
  format::LogPosition next_ VARVE_GUARDED_BY(mutex_);
  Size size_ VARVE_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<const format::LogBatch>> batches_ VARVE_GUARDED_BY(mutex_);
  std::vector<Slot> slots_ VARVE_GUARDED_BY(mutex_);
  std::unordered_map<std::string_view, std::size_t> newest_ VARVE_GUARDED_BY(mutex_);
};

}  // namespace varve::engine
