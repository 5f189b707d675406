// Keeps up with the store: the newest view that a strong read may use.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "base/result.h"
#include "base/sync.h"
#include "engine/env.h"
#include "engine/head_io.h"
#include "engine/names.h"
#include "engine/view.h"
#include "format/head.h"
#include "format/log.h"

namespace varve::engine {

// Reads one slot: a batch, a seal, or nullopt while it is empty. `corrupt`: damaged.
Result<std::optional<format::LogEntry>> read_log(const Env& env, const Names& names,
                                                 const format::Uuid& index,
                                                 format::LogPosition position, std::uint32_t dim);

// Thread-safe. Follows HEAD and the log for readers of this process; the writer of the process
// publishes its own commits here, so that they need not be read back.
class Reader {
 public:
  Reader(const Env& env, Names names, const format::Uuid& index);

  // A view that contains everything acknowledged before the call, with the resident sections if the
  // index is pinned. `not_found`: the index was dropped. `corrupt`: damaged, or an object that HEAD
  // needs is lost; it is named.
  Result<View> refresh();
  // Of the tail as far as known without asking the store.
  Tail::Size tail_size() const;
  // The newest view known without asking the store; refreshes the first time.
  Result<View> current();

  // --- for the writer of this process ---

  // The take-over of `head.epoch` is complete and `tail` holds everything up to it: from now on
  // only this process can append, so while HEAD stays at this epoch the log need not be read.
  void own(std::shared_ptr<const Generation> generation, std::shared_ptr<Tail> tail,
           const format::Head& head);
  void disown();
  // While one lives, a batch of this process may stand in the log and not in the tail. Other
  // processes may have answered with it already, so readers look at the log themselves.
  class Appending {
   public:
    explicit Appending(Reader& reader);
    ~Appending();
    Appending(const Appending&) = delete;
    Appending& operator=(const Appending&) = delete;

   private:
    Reader& reader_;
  };
  // An acknowledged batch of this process; call before the acknowledgement is passed on.
  void append(std::shared_ptr<const format::LogBatch> batch);
  // This process committed `head`, whose manifest is loaded as `generation`.
  void adopt(std::shared_ptr<const Generation> generation, const format::Head& head);

 private:
  // nullopt: HEAD moved while the log was read; start over. `head` is what it went by.
  Result<std::optional<View>> try_refresh(format::Head& head);
  Result<std::shared_ptr<const Generation>> generation_of(const format::Head& head);
  Status read_to_the_end(Tail& tail, std::uint32_t dim);
  // Returns what it replaced, for drop_replaced without the lock.
  std::shared_ptr<const Generation> adopt_locked(std::shared_ptr<const Generation> generation,
                                                 const format::Head& head);
  // Nobody else will ask the cache for what `now` lacks.
  void drop_replaced(const std::shared_ptr<const Generation>& before, const Generation& now) const;

  const Env& env_;
  const Names names_;
  const format::Uuid index_;
  base::Turn turn_;  // one thread at a time follows the log
  mutable std::mutex mutex_;
  std::shared_ptr<const Generation> generation_ VARVE_GUARDED_BY(mutex_);
  std::shared_ptr<Tail> tail_ VARVE_GUARDED_BY(mutex_);
  std::uint64_t head_version_ VARVE_GUARDED_BY(mutex_) = 0;
  std::optional<std::uint64_t> owned_epoch_ VARVE_GUARDED_BY(mutex_);
  unsigned appending_ VARVE_GUARDED_BY(mutex_) = 0;
};

}  // namespace varve::engine
