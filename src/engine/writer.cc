#include "engine/writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "engine/put_once.h"
#include "format/envelope.h"

namespace varve::engine {
namespace {

// A log object larger than this costs every reader more than a second one.
constexpr std::size_t kBatchBytesMax = 8UL * 1024 * 1024;
constexpr unsigned kTakeOverAttempts = 40;

std::size_t size_of(std::span<const format::LogOp> ops) {
  std::size_t bytes = 0;
  for (const auto& op : ops) bytes += Tail::bytes_of(op);
  return bytes;
}

// Fold and compact of an older epoch can never commit: their owner is fenced.
void abort_jobs_of_older_epochs(format::Head& head) {
  std::erase_if(head.jobs, [&](const format::Job& job) {
    return job.kind != format::JobKind::import && job.epoch < head.epoch;
  });
}

}  // namespace

Writer::Writer(const Env& env, Names names, const format::Uuid& index, Reader& reader)
    : env_(env), names_(std::move(names)), index_(index), reader_(reader) {}

Result<Lsn> Writer::commit(std::span<const format::LogOp> ops) {
  VARVE_ASSERT(!ops.empty());
  VARVE_CHECK(check_tail());
  Waiter waiter{ops, std::nullopt};
  const std::size_t bytes = size_of(ops);
  std::unique_lock lock(mutex_);
  if (closed_) return fail(ErrorKind::cancelled, "the index is closed");
  if (!queue_.empty() && queued_bytes_ + bytes > env_.queue_bytes_max) {
    return fail(ErrorKind::overloaded, "too many writes wait for the store", "retry later");
  }
  queue_.push_back(&waiter);
  queued_bytes_ += bytes;
  while (!waiter.result) {
    if (leading_) {
      changed_.wait(lock);
    } else {
      lead(lock);
    }
  }
  return *waiter.result;
}

// `overloaded`: nobody folds, and the tail is full.
Status Writer::check_tail() {
  const auto fits = [this] {
    const Tail::Size tail = reader_.tail_size();
    return tail.ops < env_.tail_ops_max && tail.bytes < env_.tail_bytes_max;
  };
  if (fits()) return {};
  // Another process may have folded it.
  VARVE_CHECK(reader_.refresh());
  if (fits()) return {};
  return fail(ErrorKind::overloaded, "the log of the index is full: too much of it is not folded",
              "varve index compact; while an import runs, wait for it to end");
}

// Takes what waits, up to the size of one log object, and writes it for all of them.
void Writer::lead(std::unique_lock<std::mutex>& lock) {
  leading_ = true;
  std::vector<Waiter*> group;
  std::vector<format::LogOp> ops;
  std::size_t bytes = 0;
  while (!queue_.empty()) {
    Waiter* next = queue_.front();
    const std::size_t more = size_of(next->ops);
    bytes += more;
    if (!group.empty() && bytes > kBatchBytesMax) break;
    queued_bytes_ -= more;
    ops.insert(ops.end(), next->ops.begin(), next->ops.end());
    group.push_back(next);
    queue_.pop_front();
  }
  lock.unlock();
  Result<format::LogPosition> written = [&] {
    base::Turn::Held held(lane_);
    return append(ops);
  }();
  lock.lock();
  std::uint64_t last_op = 0;
  for (Waiter* waiter : group) {
    last_op += waiter->ops.size();
    if (written) {
      waiter->result = Lsn{written->epoch, written->seq, last_op - 1};
    } else {
      waiter->result = tl::unexpected(written.error());
    }
  }
  leading_ = false;
  changed_.notify_all();
}

Result<format::LogPosition> Writer::append(std::span<const format::LogOp> ops) {
  const auto give_up = env_.deadline();
  for (unsigned attempt = 0; attempt < kTakeOverAttempts; ++attempt) {
    if (attempt > 0 && give_up.passed(*env_.clock)) break;
    VARVE_CHECK(own());
    VARVE_TRY(const auto position, try_append(ops));
    if (position) return *position;
    // Fenced: certainly not written. Let the other writer do some work before taking over again.
    back_off(env_, 4 + attempt / 4);
  }
  return fail(ErrorKind::overloaded, "other writers take the index over all the time",
              "write from one process, or retry later");
}

Result<std::optional<format::LogPosition>> Writer::try_append(std::span<const format::LogOp> ops) {
  const format::LogPosition position{*epoch_, next_seq_};
  const std::string key = names_.log(position);
  const base::Nonce nonce = base::make_nonce(*env_.random);
  const base::Bytes object =
      format::encode_batch(position, previous_, ops, dim_, index_, key, nonce);
  const Reader::Appending appending(reader_);
  auto outcome = put_once(env_, key, object, index_, nonce);
  if (!outcome) {
    // Unknown: the batch may land any time. The lane closes; the next take-over either replays it
    // or seals its slot.
    if (!is_definite_failure(outcome.error())) disown();
    return tl::unexpected(outcome.error());
  }
  if (outcome->verdict == PutOutcome::Verdict::lost) {
    disown();
    VARVE_TRY(const auto entry, format::decode_log(outcome->other, position, dim_, index_, key));
    if (std::holds_alternative<format::Seal>(entry)) return std::nullopt;
    return fail(ErrorKind::internal,
                fmt::format("slot '{}' of this writer's epoch holds another writer's batch", key));
  }
  VARVE_TRY(auto entry, format::decode_log(object, position, dim_, index_, key));
  reader_.append(
      std::make_shared<const format::LogBatch>(std::get<format::LogBatch>(std::move(entry))));
  previous_ = base::sha256(object);
  ++next_seq_;
  return position;
}

Result<std::uint64_t> Writer::ensure_owner() {
  base::Turn::Held held(lane_);
  if (epoch_) {
    VARVE_TRY(const StoredHead stored, read_head(env_, names_, index_));
    if (stored.head.epoch != *epoch_) disown();
  }
  return own();
}

Result<format::LogPosition> Writer::mark() {
  base::Turn::Held held(lane_);
  return append({});
}

void Writer::disown() {
  epoch_.reset();
  reader_.disown();
}

Result<std::uint64_t> Writer::own() {
  const auto give_up = env_.deadline();
  for (unsigned attempt = 0; !epoch_; ++attempt) {
    auto taken = take_over();
    if (taken) break;
    const bool retry = taken.error().kind == ErrorKind::conflict;
    const bool last = attempt == kTakeOverAttempts || give_up.passed(*env_.clock);
    if (!retry || last) return tl::unexpected(taken.error());
    back_off(env_, 2 + attempt / 4);
  }
  return *epoch_;
}

// Epochs are exclusive to one process instance; no clock and no lock service takes part:
// 1. the epoch in HEAD goes up, so the old owner cannot commit any more;
// 2. every older epoch gets a seal behind its last batch, so the old owner's next append fails;
// 3. HEAD says open.
Status Writer::take_over() {
  const base::Nonce self = base::make_nonce(*env_.random);
  VARVE_TRY(const StoredHead opening,
            update_head(env_, names_, index_, [&](format::Head& head) -> Status {
              if (head.state == format::IndexState::deleted) {
                return fail(ErrorKind::not_found, "the index was dropped");
              }
              ++head.epoch;
              head.owner = self;
              head.state = format::IndexState::opening;
              abort_jobs_of_older_epochs(head);
              return {};
            }));
  if (opening.head.owner != self) return fail(ErrorKind::conflict, "another writer took over");
  const std::uint64_t epoch = opening.head.epoch;
  auto known = reader_.current();
  const Generation* previous = known ? known->generation.get() : nullptr;
  std::shared_ptr<const Generation> generation;
  if (previous != nullptr && previous->manifest_name() == opening.head.manifest_name) {
    generation = known->generation;
  } else {
    auto loaded = Generation::load(env_, index_, opening.head, previous);
    if (!loaded && loaded.error().kind == ErrorKind::not_found) {
      VARVE_CHECK(explain_missing(env_, names_, index_, opening.head.version, loaded.error()));
      return fail(ErrorKind::conflict, loaded.error().message);
    }
    VARVE_CHECK(loaded);
    generation = std::move(*loaded);
  }
  auto tail = std::make_shared<Tail>(opening.head.fold);
  VARVE_CHECK(replay_and_seal(*tail, epoch, generation->manifest().dim));
  VARVE_TRY(const StoredHead open,
            update_head(env_, names_, index_, [&](format::Head& head) -> Status {
              if (head.epoch != epoch || head.owner != self) {
                return fail(ErrorKind::conflict, "another writer took over");
              }
              head.state = format::IndexState::open;
              return {};
            }));
  if (open.head.epoch != epoch) return fail(ErrorKind::conflict, "another writer took over");
  dim_ = generation->manifest().dim;
  epoch_ = epoch;
  next_seq_ = 0;
  previous_ = {};
  reader_.own(std::move(generation), std::move(tail), open.head);
  return {};
}

Status Writer::replay_and_seal(Tail& tail, std::uint64_t epoch, std::uint32_t dim) {
  // Ends: each turn advances the tail, or fills its next slot, or learns what fills it.
  while (tail.next().epoch < epoch) {
    const format::LogPosition position = tail.next();
    VARVE_TRY(auto entry, read_log(env_, names_, index_, position, dim));
    if (entry && std::holds_alternative<format::Seal>(*entry)) {
      tail.enter_next_epoch();
    } else if (entry) {
      tail.append(
          std::make_shared<const format::LogBatch>(std::get<format::LogBatch>(std::move(*entry))));
    } else {
      const format::Seal seal{position, base::make_nonce(*env_.random), epoch};
      const std::string key = names_.log(position);
      VARVE_CHECK(put_once(env_, key, format::encode_seal(seal, index_, key), index_, seal.nonce));
    }
  }
  return {};
}

void Writer::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  while (leading_ || !queue_.empty()) changed_.wait(lock);
}

}  // namespace varve::engine
