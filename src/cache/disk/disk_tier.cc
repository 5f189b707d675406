#include "cache/disk/disk_tier.h"

#include <algorithm>

#include "cache/disk/dead_mark.h"
#include "cache/disk/folder_state.h"

namespace varve::cache {
namespace {

// What of a record says whose it is.
constexpr std::size_t kIdentityBytesMax = kRecordHeaderBytes + kKeyBytesMax;
// A reader that loses the race against a writer looks again; each time the writer has done a whole
// write meanwhile.
constexpr int kRacesMax = 16;

}  // namespace

DiskTier::DiskTier(DiskOptions options, std::unique_ptr<EvictionPolicy> policy,
                   std::shared_ptr<void> lock, std::size_t segments_max)
    : folder_(std::move(options.folder)),
      segments_max_(segments_max),
      segment_bytes_max_(options.segment_bytes),
      immutable_(options.immutable),
      sync_at_seal_(options.sync_at_seal),
      on_removal_(std::move(options.on_removal)),
      background_(options.background),
      files_(*options.files),
      clock_(*options.clock),
      policy_(std::move(policy)),
      by_entry_(policy_->name() != "fifo"),
      lock_(std::move(lock)) {
  apply_capacity(options.capacity);
}

DiskTier::~DiskTier() {
  stop_recovery();
  const base::Turn::Held held(turn_);
  kill_again();
  seal_active();
  if (!immutable_) (void)close_folder();
}

// After an error the folder counts as open.
Status DiskTier::close_folder() {
  std::vector<std::shared_ptr<Segment>> all;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, id] : by_number_) all.push_back(segments_[id]);
  }
  for (const auto& segment : all) VARVE_CHECK(segment->sync());
  VARVE_CHECK(files_.sync_folder(folder_));
  return note_closed(files_, folder_);
}

std::optional<DiskTier::Found> DiskTier::look_up(std::uint64_t hash) const {
  const std::scoped_lock lock(mutex_);
  const SlotId slot = index_.find(hash);
  if (slot == kNowhere) return std::nullopt;
  const IndexEntry& entry = index_.at(slot);
  return Found{slot, entry, segments_[entry.segment]};
}

std::optional<DiskTier::Found> DiskTier::look_up_for_get(std::uint64_t hash) {
  const std::scoped_lock lock(mutex_);
  const SlotId slot = index_.find(hash);
  if (slot == kNowhere) return std::nullopt;
  IndexEntry& entry = index_.at(slot);
  entry.visited = 1;
  entry.hit = 1;
  if (asks_policy() && entry.pinned == 0 && slot != leaving_) policy_->touch(slot);
  return Found{slot, entry, segments_[entry.segment]};
}

bool DiskTier::is_expired(std::int64_t expires_ms) const {
  return expires_ms != 0 && expires_ms <= clock_.wall_ms();
}

DiskTier::Reading DiskTier::read_value(const Found& found, const Key& key, Handle& out) {
  // The payload comes to stand on a cache line, as handles of memory tiers do.
  const std::size_t head = kRecordHeaderBytes + key.bytes.size();
  const std::size_t shift = (base::kBufferAlign - head % base::kBufferAlign) % base::kBufferAlign;
  const std::size_t bytes = found.entry.bytes();
  std::span<std::byte> block;
  Handle handle = Handle::make(shift + bytes, block);
  const auto got = found.segment->file().read(found.entry.offset(), block.subspan(shift));
  if (!got) return Reading::failed;
  const auto record = decode_record(block.subspan(shift, *got));
  if (!record || record->header.kind != RecordKind::value) return Reading::damaged;
  const RecordHeader& header = record->header;
  if (header.sequence != sequence_of(found.segment->number(), found.entry.offset())) {
    return Reading::damaged;
  }
  if (record->key != key.bytes || is_expired(header.expires_ms)) return Reading::miss;
  handle.keep_part(shift + head, record->payload.size());
  handle.set_encoding(header.method, header.raw_bytes);
  handle.set_expires_ms(header.expires_ms);
  out = std::move(handle);
  return Reading::hit;
}

Handle DiskTier::get(const Key& key) {
  Handle value;
  for (int race = 0; race < kRacesMax; ++race) {
    const auto found = look_up_for_get(key.hash);
    if (!found) break;
    const Reading reading = read_value(*found, key, value);
    if (reading == Reading::hit) {
      hits_.fetch_add(1, std::memory_order_relaxed);
      return value;
    }
    if (reading == Reading::failed) {
      note_error();
      break;
    }
    if (reading == Reading::miss) {
      if (found->entry.expires != 0) drop_after_get(*found, Cause::expired);
      break;
    }
    // Moved or replaced while it was read: not damaged.
    const auto now = look_up(key.hash);
    if (!now || !now->entry.same_place(found->entry)) continue;
    drop_after_get(*found, Cause::lost);
    break;
  }
  misses_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

void DiskTier::drop_after_get(const Found& found, Cause cause) {
  Leaving left;
  // A get does not wait for writers: the next one finds the entry again.
  if (!turn_.try_take()) return;
  const auto now = look_up(found.entry.hash);
  if (now && now->entry.same_place(found.entry)) {
    std::array<std::byte, kRecordHeaderBytes> header{};
    const auto got = now->segment->file().read(now->entry.offset(), header);
    if (cause == Cause::lost) {
      // Void records are listed by a footer that was damaged or cut: nothing is lost with them.
      const bool was_dead = got && peek_dead(std::span(header).first(*got)).has_value();
      if (!was_dead) ++corrupt_;
      take_out(*now, Cause::lost, Fate::kill, left);
    } else {
      const auto identity = identify(*now);
      if (identity && is_expired(identity->header.expires_ms)) {
        take_out(*now, cause, Fate::kill, left);
      }
    }
  }
  turn_.give();
  tell(left);
}

std::optional<DiskTier::Identity> DiskTier::identify(const Found& found) const {
  std::array<std::byte, kIdentityBytesMax> bytes;
  const std::size_t size = std::min<std::size_t>(bytes.size(), found.entry.bytes());
  const auto got = found.segment->file().read(found.entry.offset(), std::span(bytes).first(size));
  if (!got) return std::nullopt;
  const auto header = peek_record(std::span(bytes).first(*got));
  if (!header || header->record_bytes() != found.entry.bytes()) return std::nullopt;
  if (header->sequence != sequence_of(found.segment->number(), found.entry.offset())) {
    return std::nullopt;
  }
  if (*got < kRecordHeaderBytes + header->key_bytes) return std::nullopt;
  const auto key = std::span(bytes).subspan(kRecordHeaderBytes, header->key_bytes);
  return Identity{*header, std::string(base::as_text(key))};
}

bool DiskTier::may_contain(const Key& key) const {
  const std::scoped_lock lock(mutex_);
  if (index_.find(key.hash) != kNowhere) return true;
  return recovering_ && !overruled_.contains(key.hash);
}

void DiskTier::each(const Visit& take) const {
  constexpr SlotId kBatch = 256;
  std::vector<Found> batch;
  for (SlotId from = 0;; from += kBatch) {
    batch.clear();
    {
      const std::scoped_lock lock(mutex_);
      if (from >= index_.slots()) return;
      const SlotId end = std::min(index_.slots(), from + kBatch);
      for (SlotId slot = from; slot < end; ++slot) {
        const IndexEntry& entry = index_.at(slot);
        if (entry.place != 0) batch.push_back({slot, entry, segments_[entry.segment]});
      }
    }
    for (const Found& found : batch) {
      const auto identity = identify(found);
      if (!identity || is_expired(identity->header.expires_ms)) continue;
      if (!take(identity->key, found.entry.bytes(), found.entry.pinned != 0)) return;
    }
  }
}

std::uint64_t DiskTier::index_bytes() const {
  std::uint64_t bytes = index_.resident_bytes() + buffer_bytes_;
  if (by_entry_) bytes += policy_->resident_bytes();
  for (const auto& [number, id] : by_number_) bytes += segments_[id]->list_bytes();
  return bytes;
}

TierStats DiskTier::stats() const {
  const std::scoped_lock lock(mutex_);
  TierStats stats = counts_;
  stats.items = index_.size();
  stats.value_bytes = total_.value_bytes;
  stats.raw_bytes = total_.raw_bytes;
  stats.disk_bytes = used_bytes();
  stats.index_bytes = index_bytes();
  stats.pinned_items = pins_.size();
  stats.pinned_bytes = total_.pinned_bytes;
  stats.hits = hits_;
  stats.misses = misses_;
  stats.errors = errors_;
  stats.corrupt = corrupt_;
  stats.insertions = insertions_;
  stats.rejected = rejected_;
  stats.available = !paused_;
  return stats;
}

Capacity DiskTier::capacity() const {
  const std::scoped_lock lock(mutex_);
  return capacity_;
}

void DiskTier::set_owner(TierOwner* owner) { owner_ = owner; }

void DiskTier::tell(const Leaving& left) {
  TierOwner* const owner = owner_;
  for (const Left& one : left) {
    const Removal removal{one.key, one.hash, {}, one.cause, one.was_hit, one.version};
    if (on_removal_) on_removal_(removal);
    if (owner != nullptr) owner->left(removal);
  }
}

}  // namespace varve::cache
