// Entries that have to stay: not in the policy, counted against what pins of the tier may take.
#include "cache/memory/shard.h"

namespace varve::cache {
namespace {

// Tables grow beside pinned entries, and what comes has a place to be looked at.
constexpr std::uint64_t kNeverPinnedShare = 8;  // one in so many

}  // namespace

bool MemoryShared::take_pinned(std::uint64_t bytes) {
  std::uint64_t taken = pinned_bytes;
  while (taken + bytes <= pinned_bytes_max) {
    if (pinned_bytes.compare_exchange_weak(taken, taken + bytes)) return true;
  }
  return false;
}

bool Shard::pin(const Key& key, std::int64_t until_ms, Departures& left) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(key);
  if (entry == nullptr || has_expired(*entry)) return false;
  if (entry->is_marked(Entry::kUserPinned)) {
    pins_[entry->block()->pin].until_ms = until_ms;
    return true;
  }
  if (!make_room_for_pin(entry->block()->charge)) return false;
  policy_->remove(entry->slot());
  start_pin(*entry, until_ms);
  evict_over(kEntriesPerStep, left);
  return true;
}

bool Shard::make_room_for_pin(std::uint64_t bytes) {
  const std::uint64_t needed = pinned_bytes_ + bytes + overhead_bytes() + waiting_bytes_max();
  const std::uint64_t most = capacity_.bytes - capacity_.bytes / kNeverPinnedShare;
  return (capacity_.bytes == 0 || needed <= most) && shared_->take_pinned(bytes);
}

std::optional<Shard::Pin> Shard::pin_of(const Entry* entry) const {
  if (entry == nullptr || !entry->is_marked(Entry::kUserPinned)) return std::nullopt;
  return pins_[entry->block()->pin];
}

void Shard::start_pin(Entry& entry, std::int64_t until_ms) {
  entry.mark(Entry::kUserPinned);
  entry.block()->pin = pins_.size();
  pins_.push_back({&entry, until_ms});
  pinned_bytes_ += entry.block()->charge;
  ++pinned_items_;
}

void Shard::forget_pin(Entry& entry) {
  pins_.back().entry->block()->pin = entry.block()->pin;
  pins_[entry.block()->pin] = pins_.back();
  pins_.pop_back();
  entry.unmark(Entry::kUserPinned);
  shared_->pinned_bytes -= entry.block()->charge;
  pinned_bytes_ -= entry.block()->charge;
  --pinned_items_;
}

void Shard::end_pin(Entry& entry) {
  forget_pin(entry);
  policy_->insert(entry.slot(), entry.hash(), policy_charge(entry));
}

bool Shard::unpin(const Key& key, Departures& left) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(key);
  if (entry == nullptr || !entry->is_marked(Entry::kUserPinned)) return false;
  end_pin(*entry);
  evict_over(kEntriesPerStep, left);
  return true;
}

bool Shard::is_pinned(const Key& key) const {
  std::lock_guard lock(mutex_);
  const Entry* entry = find(key);
  return entry != nullptr && entry->is_marked(Entry::kUserPinned);
}

void Shard::unpin_due() {
  const std::int64_t now_ms = shared_->now_ms();
  std::lock_guard lock(mutex_);
  std::vector<Entry*> due;
  for (const Pin& pin : pins_) {
    if (pin.until_ms != 0 && pin.until_ms <= now_ms) due.push_back(pin.entry);
  }
  for (Entry* entry : due) end_pin(*entry);
}

bool Shard::unpin_surplus() {
  std::lock_guard lock(mutex_);
  if (pins_.empty() || !shared_->has_surplus_pins()) return false;
  end_pin(*pins_.back().entry);
  return true;
}

}  // namespace varve::cache
