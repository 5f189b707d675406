#include <algorithm>
#include <limits>

#include "cache/disk/disk_tier.h"

namespace varve::cache {
namespace {

// A capacity holds so many segments at least, so that giving one up costs a small part of it.
constexpr std::uint64_t kSegmentsMin = 8;
constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

}  // namespace

std::uint64_t DiskTier::segment_bytes_for(const Capacity& capacity) const {
  std::uint64_t bytes = segment_bytes_max_;
  if (capacity.bytes != 0) {
    bytes = std::min(bytes, capacity.bytes / kSegmentsMin);
    bytes = std::max(bytes, capacity.bytes / kSegmentsMax);
  }
  return std::clamp(bytes, kSegmentBytesMin, kSegmentBytesMax) / kRecordAlign * kRecordAlign;
}

void DiskTier::apply_capacity(const Capacity& capacity) {
  segment_bytes_ = segment_bytes_for(capacity);
  const std::scoped_lock lock(mutex_);
  capacity_ = capacity;
  bytes_max_ = capacity.bytes;
  // Where entries are chosen one by one the space of the gone comes back only when the rest of
  // their segment is copied: with a quarter of slack that happens to segments that are dead to a
  // quarter.
  const std::uint64_t reserve = 3 * segment_bytes_;
  live_bytes_max_ = 0;
  if (capacity.bytes != 0) {
    live_bytes_max_ = capacity.bytes > reserve ? (capacity.bytes - reserve) / 4 * 3 : 1;
  }
  policy_->set_capacity(live_bytes_max_ != 0 ? live_bytes_max_ : kNoLimit / 4);
}

void DiskTier::evict_surplus(Leaving& left) {
  for (;;) {
    std::optional<Found> victim;
    {
      const std::scoped_lock lock(mutex_);
      if (recovering_) return;
      const bool too_many = capacity_.items != 0 && index_.size() > capacity_.items;
      const bool too_much = by_entry_ && live_bytes_max_ != 0 &&
                            total_.record_bytes > live_bytes_max_ + total_.pinned_bytes;
      if (!too_many && !too_much) return;
      if (by_entry_) {
        if (policy_->size() == 0) return;
        const SlotId slot = policy_->evict();
        leaving_ = slot;
        victim = Found{slot, index_.at(slot), segments_[index_.at(slot).segment]};
      }
    }
    if (victim) {
      take_out(*victim, Cause::evicted, Fate::chosen_by_policy, left);
    } else if (!evict_oldest(left)) {
      return;
    }
  }
}

// The entry written first of those that are not pinned.
bool DiskTier::evict_oldest(Leaving& left) {
  for (bool again = false;;) {
    while (oldest_.next < oldest_.entries.size()) {
      const SegmentEntry& record = oldest_.entries[oldest_.next++];
      const auto found = look_up(record.hash);
      if (!found || found->segment->number() != oldest_.number) continue;
      if (found->entry.offset() != record.offset || found->entry.pinned != 0) continue;
      take_out(*found, Cause::evicted, Fate::kill, left);
      return true;
    }
    if (load_oldest()) continue;
    // Passed by while they were pinned.
    if (again) return false;
    again = true;
    oldest_ = {};
  }
}

bool DiskTier::load_oldest() {
  for (std::uint32_t number = oldest_.number;; ++number) {
    std::shared_ptr<Segment> next;
    {
      const std::scoped_lock lock(mutex_);
      const auto at = by_number_.lower_bound(number);
      if (at == by_number_.end()) return false;
      number = at->first;
      next = segments_[at->second];
    }
    auto entries = next->entries();
    if (!entries) continue;
    // The active segment has grown since it was read.
    const std::size_t from = number == oldest_.number ? oldest_.next : 0;
    if (from >= entries->size()) continue;
    oldest_ = {number, from, std::move(*entries)};
    return true;
  }
}

void DiskTier::set_capacity(const Capacity& capacity) {
  Leaving left;
  {
    const base::Turn::Held held(turn_);
    apply_capacity(capacity);
    release_pins();
    evict_surplus(left);
    const auto segment = active();
    if (segment && segment->disk_bytes() > segment_bytes_) seal_active();
    if (!make_room(0, left)) {
      seal_active();
      make_room(0, left);
    }
  }
  tell(left);
}

void DiskTier::maintain() {
  Leaving left;
  {
    const base::Turn::Held held(turn_);
    release_pins();
    drop_unlinked(left);
    drop_all_expired(left);
    evict_surplus(left);
    make_room(0, left);
  }
  tell(left);
}

void DiskTier::drop_all_expired(Leaving& left) {
  std::vector<std::shared_ptr<Segment>> due;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, id] : by_number_) {
      if (is_expired(segments_[id]->earliest_expiry_ms)) due.push_back(segments_[id]);
    }
  }
  for (const auto& segment : due) {
    const auto entries = segment->entries();
    if (!entries) continue;
    std::int64_t earliest = 0;
    for (const SegmentEntry& record : *entries) {
      if (record.expires_ms == 0) continue;
      const auto found = look_up(record.hash);
      if (!found || found->segment != segment || found->entry.offset() != record.offset) continue;
      if (is_expired(record.expires_ms)) {
        take_out(*found, Cause::expired, Fate::kill, left, &record);
      } else if (earliest == 0 || record.expires_ms < earliest) {
        earliest = record.expires_ms;
      }
    }
    const std::scoped_lock lock(mutex_);
    segment->earliest_expiry_ms = earliest;
  }
}

// Segments whose files somebody deleted are readable as long as they are open, but take room that
// nobody sees, and what is written to them does not outlive the process.
void DiskTier::drop_unlinked(Leaving& left) {
  std::vector<std::shared_ptr<Segment>> all;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, id] : by_number_) all.push_back(segments_[id]);
  }
  for (const auto& segment : all) {
    if (segment->file().is_linked()) continue;
    evict_rest(segment, left);
    close_segment(segment);
  }
}

}  // namespace varve::cache
