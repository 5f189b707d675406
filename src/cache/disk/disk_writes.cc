#include <algorithm>

#include "cache/disk/disk_tier.h"

namespace varve::cache {
namespace {

// After a write that failed: long enough to cost nothing on a full disk, short enough to notice
// that there is room again.
constexpr base::Duration kPause = std::chrono::seconds(1);
// Each turn makes a segment; more are needed only where survivors fill it at once.
constexpr int kRollsMax = 8;
// Beyond that a disk is broken, not busy.
constexpr std::size_t kToKillMax = 4096;
// Larger records are rare, and their memory is not kept for the next one.
constexpr std::size_t kBufferBytesMax = std::size_t{1} << 20;
}  // namespace

bool DiskTier::may_write() const { return clock_.now() >= paused_until_; }

void DiskTier::pause_writes() {
  note_error();
  paused_until_ = clock_.now() + kPause;
  paused_ = true;
}

bool DiskTier::put(const Key& key, const Handle& value, const PutOptions& options) {
  // Told before the new value is visible.
  drop_expired(key);
  Leaving left;
  bool kept = false;
  {
    const base::Turn::Held held(turn_);
    kept = write(key, value, options.expires_ms, left);
    (kept ? insertions_ : rejected_).fetch_add(1, std::memory_order_relaxed);
    if (kept) {
      evict_surplus(left);
      // It may have been the one to go.
      kept = look_up(key.hash).has_value();
    }
  }
  tell(left);
  return kept;
}

void DiskTier::drop_expired(const Key& key) {
  const auto seen = look_up(key.hash);
  if (!seen || seen->entry.expires == 0) return;
  Leaving left;
  {
    const base::Turn::Held held(turn_);
    const auto found = look_up(key.hash);
    if (!found || found->entry.expires == 0) return;
    const auto identity = identify(*found);
    if (!identity || !is_expired(identity->header.expires_ms)) return;
    take_out(*found, Cause::expired, Fate::kill, left);
  }
  tell(left);
}

bool DiskTier::write(const Key& key, const Handle& value, std::int64_t expires_ms, Leaving& left) {
  const bool fits = !key.bytes.empty() && key.bytes.size() <= kKeyBytesMax && value &&
                    value.bytes().size() <= kRecordBytesMax && value.raw_bytes() <= kValueBytesMax;
  std::optional<Placed> placed;
  if (fits && !is_expired(expires_ms)) {
    RecordHeader header;
    header.method = value.method();
    header.key_bytes = static_cast<std::uint16_t>(key.bytes.size());
    header.stored_bytes = static_cast<std::uint32_t>(value.bytes().size());
    header.raw_bytes = static_cast<std::uint32_t>(value.raw_bytes());
    header.expires_ms = expires_ms;
    placed = append(header, key.bytes, key.hash, value.bytes(), left);
  }
  // Looked up only now: making room may have moved or evicted it.
  const auto old = look_up(key.hash);
  if (placed) {
    publish(key.bytes, *placed, old, false, left);
    return true;
  }
  if (old) take_out(*old, Cause::replaced, Fate::kill, left);
  bury(key, left);
  return false;
}

std::optional<DiskTier::Placed> DiskTier::append(RecordHeader header, std::string_view key,
                                                 std::uint64_t hash, base::ByteSpan payload,
                                                 Leaving& left) {
  const std::size_t bytes = header.record_bytes();
  if (bytes > kRecordBytesMax - kRecordAlign || !may_write()) return std::nullopt;
  paused_ = false;
  if (kSegmentHeaderBytes + bytes + footer_bytes_max(kSegmentHeaderBytes + bytes, 1) >
      segment_bytes_) {
    return std::nullopt;
  }
  const bool is_removal = header.kind == RecordKind::removal;
  const auto current = [&] {
    const std::scoped_lock lock(mutex_);
    return active_;
  };
  {
    // Removals during recovery may have taken a segment too many: not for values.
    const std::scoped_lock lock(mutex_);
    if (recovering_ && !is_removal && !has_room(0)) return std::nullopt;
  }
  std::shared_ptr<Segment> segment = current();
  for (int rolls = 0; !segment || !segment->has_room(bytes); ++rolls) {
    if (rolls == kRollsMax || !roll(is_removal, left)) return std::nullopt;
    segment = current();
  }
  auto placed = write_record(segment, header, key, hash, payload);
  // On file systems where room cannot be claimed ahead.
  if (!placed && notice_full_disk(placed.error()) && give_up_oldest(left)) {
    segment = current();
    if (segment && segment->has_room(bytes)) {
      placed = write_record(segment, header, key, hash, payload);
    }
  }
  if (placed) return *placed;
  pause_writes();
  return std::nullopt;
}

Result<DiskTier::Placed> DiskTier::write_record(const std::shared_ptr<Segment>& segment,
                                                RecordHeader header, std::string_view key,
                                                std::uint64_t hash, base::ByteSpan payload) {
  header.sequence = sequence_of(segment->number(), segment->tail());
  Placed placed;
  placed.entry = entry_of(header, hash, segment->tail());
  buffer_.resize(header.record_bytes());
  encode_record(header, key, payload, buffer_);
  const Status written = segment->append(buffer_, placed.entry);
  if (buffer_.capacity() > kBufferBytesMax) buffer_ = std::vector<std::byte>();
  buffer_bytes_ = buffer_.capacity();
  VARVE_CHECK(written);
  paused_until_ = {};
  const std::scoped_lock lock(mutex_);
  placed.segment = by_number_.at(segment->number());
  return placed;
}

void DiskTier::publish(std::string_view key, const Placed& placed, const std::optional<Found>& old,
                       bool is_move, Leaving& left) {
  const std::uint64_t hash = placed.entry.hash;
  const auto identity = old ? identify(*old) : std::nullopt;
  IndexEntry entry;
  entry.hash = hash;
  entry.place = placed.entry.offset / kRecordAlign & 0xFFFFFF;
  entry.length = placed.entry.record_bytes() / kRecordAlign & 0x3FFFFF;
  entry.segment = placed.segment & 0x3FFF;
  entry.expires = placed.entry.expires_ms != 0;
  {
    const std::scoped_lock lock(mutex_);
    if (!old) {
      count_live(entry, placed.entry);
      const SlotId slot = index_.insert(entry);
      if (asks_policy()) policy_->insert(slot, hash, entry.bytes());
    } else {
      IndexEntry& held = index_.at(old->slot);
      entry.pinned = held.pinned;
      count_live(entry, placed.entry);
      count_dead(held, identity);
      entry.hit = is_move ? held.hit : 0;
      // A move costs the mark that saved the entry.
      if (!is_move) {
        // Another key of the same hash has no place beside it.
        const bool is_same = !identity || identity->key == key;
        note_left(held, is_same ? Cause::replaced : Cause::evicted, identity, left);
      }
      const bool is_resized = held.length != entry.length;
      held = entry;
      if (asks_policy() && entry.pinned == 0 && (!is_move || is_resized)) {
        policy_->remove(old->slot);
        policy_->insert(old->slot, hash, entry.bytes());
      }
    }
    if (recovering_) overruled_.insert(hash);
  }
  if (old) kill(old->segment, old->entry.offset());
}

void DiskTier::count_live(const IndexEntry& entry, const SegmentEntry& record) {
  Segment& segment = *segments_[entry.segment];
  for (Live* live : {&segment.live, &total_}) {
    ++live->items;
    live->record_bytes += entry.bytes();
    live->value_bytes += record.stored_bytes;
    live->raw_bytes += record.raw_bytes;
    if (entry.pinned != 0) live->pinned_bytes += entry.bytes();
  }
  const std::int64_t expires_ms = record.expires_ms;
  std::int64_t& earliest = segment.earliest_expiry_ms;
  if (expires_ms != 0 && (earliest == 0 || expires_ms < earliest)) earliest = expires_ms;
}

void DiskTier::count_dead(const IndexEntry& entry, const std::optional<Identity>& identity) {
  Live& live = segments_[entry.segment]->live;
  Live gone{1, entry.bytes(), 0, 0, entry.pinned != 0 ? entry.bytes() : 0};
  // Where the record cannot be read any more its share stays until the last of the segment is gone.
  if (live.items == 1) {
    gone.value_bytes = live.value_bytes;
    gone.raw_bytes = live.raw_bytes;
  } else if (identity) {
    gone.value_bytes = std::min<std::uint64_t>(live.value_bytes, identity->header.stored_bytes);
    gone.raw_bytes = std::min<std::uint64_t>(live.raw_bytes, identity->header.raw_bytes);
  }
  for (Live* count : {&live, &total_}) {
    count->items -= gone.items;
    count->record_bytes -= gone.record_bytes;
    count->value_bytes -= gone.value_bytes;
    count->raw_bytes -= gone.raw_bytes;
    count->pinned_bytes -= gone.pinned_bytes;
  }
}

void DiskTier::note_left(const IndexEntry& entry, Cause cause,
                         const std::optional<Identity>& identity, Leaving& left) {
  switch (cause) {
    case Cause::evicted:
      ++counts_.evicted;
      break;
    case Cause::expired:
      ++counts_.expired;
      break;
    case Cause::replaced:
      ++counts_.replaced;
      break;
    case Cause::removed:
      ++counts_.removed;
      break;
    case Cause::lost:
      ++counts_.lost;
      break;
  }
  TierOwner* const owner = owner_;
  if (!on_removal_ && owner == nullptr) return;
  left.push_back({identity ? identity->key : std::string(), entry.hash, cause, entry.hit != 0,
                  owner != nullptr ? owner->version(entry.hash) : 0});
}

void DiskTier::take_out(const Found& found, Cause cause, Fate fate, Leaving& left,
                        const SegmentEntry* record) {
  std::optional<Identity> identity;
  if (record != nullptr && !on_removal_ && owner_ == nullptr) {
    identity.emplace();
    identity->header.stored_bytes = record->stored_bytes;
    identity->header.raw_bytes = record->raw_bytes;
  } else {
    identity = identify(found);
  }
  {
    const std::scoped_lock lock(mutex_);
    const IndexEntry entry = index_.at(found.slot);
    count_dead(entry, identity);
    if (entry.pinned != 0) {
      pins_.erase(found.slot);
    } else if (asks_policy() && fate != Fate::chosen_by_policy) {
      policy_->remove(found.slot);
    }
    index_.erase(found.slot);
    leaving_ = kNowhere;
    note_left(entry, cause, identity, left);
    if (recovering_) overruled_.insert(entry.hash);
  }
  if (fate != Fate::file_goes) kill(found.segment, found.entry.offset());
}

void DiskTier::kill(const std::shared_ptr<Segment>& segment, std::uint64_t offset) {
  if (segment->kill(offset)) return;
  note_error();
  unsure_ = true;
  if (to_kill_.size() < kToKillMax) to_kill_.emplace_back(segment, offset);
}

void DiskTier::kill_again() {
  std::erase_if(to_kill_, [](const auto& one) { return one.first->kill(one.second).has_value(); });
}

bool DiskTier::remove(const Key& key) {
  Leaving left;
  bool was_there = false;
  {
    const base::Turn::Held held(turn_);
    const auto found = look_up(key.hash);
    const auto identity = found ? identify(*found) : std::nullopt;
    // Where the record cannot be read it goes as well: it may be that of the key.
    if (found && (!identity || identity->key == key.bytes)) {
      const bool expired = identity && is_expired(identity->header.expires_ms);
      was_there = identity && !expired;
      const Cause cause = was_there ? Cause::removed : expired ? Cause::expired : Cause::lost;
      // The note for recovery first: it holds where the process ends before the record is void.
      bury(key, left);
      // Making room for the note may have moved or evicted it.
      const auto now = look_up(key.hash);
      if (now) take_out(*now, cause, Fate::kill, left);
    } else if (!found) {
      bury(key, left);
    }
  }
  tell(left);
  return was_there;
}

// Writes down that no older record of the key counts. Best effort: where the disk is full, the mark
// on the record itself has to do.
void DiskTier::bury(const Key& key, Leaving& left) {
  if (key.bytes.empty() || key.bytes.size() > kKeyBytesMax) return;
  {
    const std::scoped_lock lock(mutex_);
    if (recovering_) overruled_.insert(key.hash);
    if (index_.find(key.hash) == kNowhere && !recovering_ && !unsure_) return;
  }
  RecordHeader header;
  header.kind = RecordKind::removal;
  header.key_bytes = static_cast<std::uint16_t>(key.bytes.size());
  append(header, key.bytes, key.hash, {}, left);
}

}  // namespace varve::cache
