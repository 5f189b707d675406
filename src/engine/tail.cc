#include "engine/tail.h"

#include "base/assert.h"

namespace varve::engine {

std::uint64_t Tail::bytes_of(const format::LogOp& op) {
  constexpr std::uint64_t kOverhead = 32;
  return op.key.size() + op.vector.size_bytes() + op.metadata.size() + kOverhead;
}

Tail::Size Tail::size() const {
  std::shared_lock lock(mutex_);
  return size_;
}

void Tail::append(std::shared_ptr<const format::LogBatch> batch) {
  std::unique_lock lock(mutex_);
  VARVE_ASSERT(batch->position == next_);
  std::uint64_t number = 0;
  for (const format::LogOp& op : batch->ops) {
    ++size_.ops;
    size_.bytes += bytes_of(op);
    Slot slot;
    slot.op = Op{op, Lsn{next_.epoch, next_.seq, number++}};
    const auto [entry, is_new] = newest_.try_emplace(op.key, slots_.size());
    if (!is_new) {
      slot.previous = entry->second;
      slots_[entry->second].replaced_by = slots_.size();
      entry->second = slots_.size();
    }
    slots_.push_back(slot);
  }
  ++size_.objects;
  batches_.push_back(std::move(batch));
  ++next_.seq;
}

void Tail::enter_next_epoch() {
  std::unique_lock lock(mutex_);
  ++size_.objects;
  next_ = {next_.epoch + 1, 0};
}

format::LogPosition Tail::next() const {
  std::shared_lock lock(mutex_);
  return next_;
}

std::size_t Tail::count() const {
  std::shared_lock lock(mutex_);
  return slots_.size();
}

format::LogPosition Tail::end_of(std::size_t count) const {
  std::shared_lock lock(mutex_);
  format::LogPosition end = begin_;
  std::size_t ops = 0;
  for (const auto& batch : batches_) {
    if (ops + batch->ops.size() > count) break;
    ops += batch->ops.size();
    end = {batch->position.epoch, batch->position.seq + 1};
  }
  VARVE_ASSERT(ops == count);
  return end;
}

std::size_t Tail::count_before(format::LogPosition end) const {
  std::shared_lock lock(mutex_);
  std::size_t count = 0;
  for (const auto& batch : batches_) {
    if (batch->position < end) count += batch->ops.size();
  }
  return count;
}

std::optional<Tail::Op> Tail::newest(std::string_view key, std::size_t count) const {
  std::shared_lock lock(mutex_);
  const auto entry = newest_.find(key);
  if (entry == newest_.end()) return std::nullopt;
  // Ends: previous is always smaller.
  std::size_t index = entry->second;
  while (index != kNever && index >= count) index = slots_[index].previous;
  if (index == kNever) return std::nullopt;
  return slots_[index].op;
}

void Tail::for_each_newest(std::size_t count, const std::function<void(const Op&)>& visit) const {
  std::shared_lock lock(mutex_);
  VARVE_ASSERT(count <= slots_.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (slots_[i].replaced_by >= count) visit(slots_[i].op);
  }
}

std::vector<std::shared_ptr<const format::LogBatch>> Tail::batches_from(
    format::LogPosition from) const {
  std::shared_lock lock(mutex_);
  std::vector<std::shared_ptr<const format::LogBatch>> left;
  for (const auto& batch : batches_) {
    if (batch->position >= from) left.push_back(batch);
  }
  return left;
}

std::vector<format::LogPosition> Tail::positions_before(format::LogPosition end) const {
  std::shared_lock lock(mutex_);
  std::vector<format::LogPosition> positions;
  for (const auto& batch : batches_) {
    if (batch->position < end) positions.push_back(batch->position);
  }
  return positions;
}

}  // namespace varve::engine
