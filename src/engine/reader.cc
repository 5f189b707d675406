#include "engine/reader.h"

#include <algorithm>
#include <utility>

#include "engine/put_once.h"
#include "engine/section_cache.h"

namespace varve::engine {
namespace {

// HEAD moves a few times a second at most; a reader that loses so often meets a defect.
constexpr unsigned kRefreshAttempts = 50;

// The tail that belongs to `fold`, with what `old` already knows beyond it.
std::shared_ptr<Tail> tail_from(const Tail* old, format::LogPosition fold) {
  auto tail = std::make_shared<Tail>(fold);
  if (old == nullptr || old->begin() > fold || old->next() < fold) return tail;
  for (auto& batch : old->batches_from(fold)) {
    while (tail->next().epoch < batch->position.epoch) tail->enter_next_epoch();
    tail->append(std::move(batch));
  }
  // The seals behind the last batch are known too.
  while (tail->next().epoch < old->next().epoch) tail->enter_next_epoch();
  return tail;
}

}  // namespace

Result<std::optional<format::LogEntry>> read_log(const Env& env, const Names& names,
                                                 const format::Uuid& index,
                                                 format::LogPosition position, std::uint32_t dim) {
  const std::string key = names.log(position);
  for (bool again = false;; again = true) {
    VARVE_TRY(auto object, env.store->get(key, env.deadline()));
    if (!object) return std::nullopt;
    auto entry = format::decode_log(object->bytes, position, dim, index, key);
    if (entry) return std::optional(std::move(*entry));
    // The transfer may have damaged it: look once more before believing it.
    if (again) return tl::unexpected(entry.error());
  }
}

Reader::Reader(const Env& env, Names names, const format::Uuid& index)
    : env_(env), names_(std::move(names)), index_(index) {}

Result<View> Reader::refresh() {
  base::Turn::Held held(turn_);
  for (unsigned attempt = 0; attempt < kRefreshAttempts; ++attempt) {
    format::Head head;
    auto view = try_refresh(head);
    if (!view) {
      if (view.error().kind != ErrorKind::not_found) return tl::unexpected(view.error());
      // An object that is gone was collected after a newer version replaced it.
      VARVE_CHECK(explain_missing(env_, names_, index_, head.version, view.error()));
    } else if (*view) {
      (*view)->resident = (*view)->generation->resident();
      return std::move(**view);
    }
    if (attempt > 2) back_off(env_, attempt / 8);
  }
  return fail(ErrorKind::unavailable, "the index changes faster than it can be read");
}

Result<std::optional<View>> Reader::try_refresh(format::Head& head) {
  VARVE_TRY(StoredHead stored, read_head(env_, names_, index_));
  head = std::move(stored.head);
  if (head.state == format::IndexState::deleted) {
    return fail(ErrorKind::not_found, "the index was dropped");
  }
  VARVE_TRY(auto generation, generation_of(head));
  View view;
  std::shared_ptr<Tail> tail;
  std::shared_ptr<const Generation> replaced;
  bool owned = false;
  {
    std::lock_guard lock(mutex_);
    // What this process committed meanwhile is newer than what was just read.
    if (head.version < head_version_) return std::nullopt;
    replaced = adopt_locked(generation, head);
    owned = owned_epoch_ == head.epoch && appending_ == 0;
    tail = tail_;
    view = View{generation, tail, tail->count(), head.version, head.epoch, {}};
  }
  drop_replaced(replaced, *generation);
  if (owned) return view;
  VARVE_CHECK(read_to_the_end(*tail, generation->manifest().dim));
  // An empty slot ends the log only if HEAD is unchanged after it was seen: a fold and a collection
  // may have passed in between (tests/model, fault TRUST_404).
  VARVE_TRY(const StoredHead after, read_head(env_, names_, index_));
  if (after.head.version != head.version) return std::nullopt;
  view.tail_count = tail->count();
  return view;
}

Result<std::shared_ptr<const Generation>> Reader::generation_of(const format::Head& head) {
  std::shared_ptr<const Generation> known;
  {
    std::lock_guard lock(mutex_);
    known = generation_;
  }
  if (known != nullptr && known->manifest_name() == head.manifest_name) return known;
  VARVE_TRY(auto loaded, Generation::load(env_, index_, head, known.get()));
  return std::shared_ptr<const Generation>(std::move(loaded));
}

Status Reader::read_to_the_end(Tail& tail, std::uint32_t dim) {
  while (true) {
    const format::LogPosition position = tail.next();
    VARVE_TRY(auto entry, read_log(env_, names_, index_, position, dim));
    if (!entry) return {};
    std::lock_guard lock(mutex_);
    // The writer of this process may have published its own batch meanwhile.
    if (tail.next() != position) continue;
    if (std::holds_alternative<format::Seal>(*entry)) {
      tail.enter_next_epoch();
    } else {
      tail.append(
          std::make_shared<const format::LogBatch>(std::get<format::LogBatch>(std::move(*entry))));
    }
  }
}

Result<View> Reader::current() {
  {
    std::lock_guard lock(mutex_);
    if (generation_ != nullptr) {
      return View{generation_,
                  tail_,
                  tail_->count(),
                  head_version_,
                  owned_epoch_.value_or(0),
                  generation_->resident()};
    }
  }
  return refresh();
}

Tail::Size Reader::tail_size() const {
  std::lock_guard lock(mutex_);
  return tail_ == nullptr ? Tail::Size{} : tail_->size();
}

void Reader::own(std::shared_ptr<const Generation> generation, std::shared_ptr<Tail> tail,
                 const format::Head& head) {
  std::shared_ptr<const Generation> replaced;
  {
    std::lock_guard lock(mutex_);
    replaced = std::exchange(generation_, generation);
    tail_ = std::move(tail);
    head_version_ = head.version;
    owned_epoch_ = head.epoch;
  }
  drop_replaced(replaced, *generation);
}

void Reader::disown() {
  std::lock_guard lock(mutex_);
  owned_epoch_.reset();
}

Reader::Appending::Appending(Reader& reader) : reader_(reader) {
  std::lock_guard lock(reader_.mutex_);
  ++reader_.appending_;
}
Reader::Appending::~Appending() {
  std::lock_guard lock(reader_.mutex_);
  --reader_.appending_;
}

void Reader::append(std::shared_ptr<const format::LogBatch> batch) {
  std::lock_guard lock(mutex_);
  // A reader of this process that saw a newer epoch may have read the slot back already.
  if (tail_->next() == batch->position) tail_->append(std::move(batch));
}

void Reader::adopt(std::shared_ptr<const Generation> generation, const format::Head& head) {
  std::shared_ptr<const Generation> replaced;
  {
    std::lock_guard lock(mutex_);
    if (head.version >= head_version_) replaced = adopt_locked(generation, head);
  }
  drop_replaced(replaced, *generation);
}

std::shared_ptr<const Generation> Reader::adopt_locked(std::shared_ptr<const Generation> generation,
                                                       const format::Head& head) {
  auto replaced = std::exchange(generation_, std::move(generation));
  head_version_ = head.version;
  if (tail_ == nullptr || tail_->begin() != head.fold) tail_ = tail_from(tail_.get(), head.fold);
  return replaced;
}

void Reader::drop_replaced(const std::shared_ptr<const Generation>& before,
                           const Generation& now) const {
  if (before == nullptr || before.get() == &now || env_.sections == nullptr) return;
  env_.sections->drop_replaced(*before, now);
}

}  // namespace varve::engine
