#include <algorithm>

#include "cache/disk/disk_tier.h"

namespace varve::cache {
namespace {

// What a tier without a capacity leaves free of the file system, for the store that may be beside
// it: one part in so many.
constexpr std::uint64_t kShareLeft = 20;
constexpr std::uint64_t kBytesLeftMax = std::uint64_t{16} << 30;
// One live byte in so many of a segment makes it mostly dead.
constexpr std::uint64_t kMostly = 4;
// Files that give way to one on a full disk: they may be shorter than it.
constexpr int kGivenUpMax = 8;
// Names of files that are not ours, at most as many as an earlier version may have left.
constexpr std::size_t kNamesTaken = kSegmentsMax;

std::uint64_t record_bytes_of(const Segment& segment) {
  return segment.tail() - kSegmentHeaderBytes;
}

bool is_mostly_dead(const Segment& segment) {
  return segment.live.record_bytes * kMostly <= record_bytes_of(segment);
}

// To move it makes little room.
bool is_mostly_pinned(const Segment& segment) {
  return segment.live.pinned_bytes * 4 > record_bytes_of(segment) * 3;
}

}  // namespace

std::shared_ptr<Segment> DiskTier::active() const {
  const std::scoped_lock lock(mutex_);
  return active_;
}

std::uint64_t DiskTier::used_bytes() const {
  std::uint64_t bytes = unread_bytes_ + leftover_bytes_;
  for (const auto& [number, id] : by_number_) bytes += segments_[id]->disk_bytes();
  return bytes;
}

void DiskTier::seal_active() {
  const auto segment = active();
  if (!segment) return;
  if (!segment->seal(sync_at_seal_)) note_error();
  const std::scoped_lock lock(mutex_);
  active_ = nullptr;
}

Result<std::shared_ptr<Segment>> DiskTier::create_segment() {
  Status failed = fail(ErrorKind::unavailable, "no number is left for a segment");
  for (std::size_t tries = 0; tries < kNamesTaken && next_number_ < kSegmentNumberMax; ++tries) {
    auto segment = Segment::create(files_, folder_, next_number_++, segment_bytes_);
    if (segment) return segment;
    failed = tl::unexpected(segment.error());
    // Somebody deleted the folder: what is open stays readable, and writing starts anew.
    if (segment.error().kind == ErrorKind::not_found && files_.make_folder(folder_)) continue;
    if (segment.error().kind != ErrorKind::conflict) break;
  }
  return tl::unexpected(failed.error());
}

SegmentId DiskTier::adopt(const std::shared_ptr<Segment>& segment) {
  SegmentId id = 0;
  while (id < segments_.size() && segments_[id]) ++id;
  if (id == segments_.size()) segments_.emplace_back();
  by_number_[segment->number()] = id;
  segments_[id] = segment;
  return id;
}

bool DiskTier::notice_full_disk(const Error& error) {
  if (error.kind != ErrorKind::overloaded) return false;
  const std::scoped_lock lock(mutex_);
  disk_is_full_ = true;
  return true;
}

bool DiskTier::is_disk_full() const {
  const std::scoped_lock lock(mutex_);
  return disk_is_full_;
}

bool DiskTier::start_segment(Leaving& left) {
  auto segment = create_segment();
  for (int given_up = 0; !segment && given_up < kGivenUpMax; ++given_up) {
    if (!notice_full_disk(segment.error()) || !give_up_oldest(left)) break;
    // What had to be kept of it may have found a place.
    if (active()) return true;
    segment = create_segment();
  }
  if (!segment) {
    // A reclaim makes room without the copies.
    const bool goes_on = reclaiming_ && segment.error().kind == ErrorKind::overloaded;
    if (!goes_on) pause_writes();
    return false;
  }
  const std::scoped_lock lock(mutex_);
  disk_is_full_ = false;
  adopt(*segment);
  active_ = *segment;
  return true;
}

bool DiskTier::give_up_oldest(Leaving& left) {
  std::shared_ptr<Segment> oldest;
  {
    const std::scoped_lock lock(mutex_);
    if (!disk_is_full_ || reclaiming_ || recovering_) return false;
    for (const auto& [number, id] : by_number_) {
      if (segments_[id] == active_ || segments_[id]->live.pinned_bytes != 0) continue;
      oldest = segments_[id];
      break;
    }
  }
  if (!oldest) return false;
  return reclaim(oldest, Survivors::none, left);
}

bool DiskTier::roll(bool is_removal, Leaving& left) {
  seal_active();
  // What is being moved out of a segment needs a place before the room of that segment is free: the
  // tier is larger than its capacity for that long.
  if (reclaiming_) return !is_disk_full() && start_segment(left);
  if (!make_room(segment_bytes_, left)) {
    // A removal must be on disk before it is reported, and while files are unread there is no
    // record to make void: the capacity is kept again when they have been read.
    const std::scoped_lock lock(mutex_);
    if (!recovering_ || !is_removal) return false;
  }
  if (!active() && !start_segment(left)) return false;
  // Now, while the new segment can take what survives: the next roll finds its room.
  make_room(segment_bytes_, left);
  return true;
}

bool DiskTier::has_room(std::uint64_t bytes) const {
  if (!has_segments_left()) return false;
  if (bytes_max_ != 0) return used_bytes() + bytes <= bytes_max_;
  if (recovering_) return true;
  return std::none_of(by_number_.begin(), by_number_.end(), [&](const auto& one) {
    const auto& segment = segments_[one.second];
    return segment != active_ && is_mostly_dead(*segment);
  });
}

void DiskTier::measure_disk() {
  const auto space = files_.space(folder_);
  const std::scoped_lock lock(mutex_);
  bytes_max_ = capacity_.bytes;
  // Whoever names a capacity has decided what the disk is for.
  if (capacity_.bytes != 0 || !space) return;
  const std::uint64_t left_free = std::min(space->all / kShareLeft, kBytesLeftMax);
  if (space->free >= left_free + 2 * segment_bytes_) return;
  const std::uint64_t used = used_bytes();
  const std::uint64_t all = used + space->free;
  // What others took is given back by a segment a call: nobody waits for all of it.
  const std::uint64_t least = used > segment_bytes_ ? used - segment_bytes_ : 1;
  bytes_max_ = std::max(least, all > left_free ? all - left_free : 0);
}

bool DiskTier::make_room(std::uint64_t bytes, Leaving& left) {
  if (reclaiming_) return false;
  kill_again();
  delete_leftovers();
  measure_disk();
  std::size_t turns = 0;
  for (std::size_t turns_max = 0;; ++turns) {
    {
      const std::scoped_lock lock(mutex_);
      if (has_room(bytes)) return true;
      // Which entries of the files that are still unread are the newest is not known yet.
      if (recovering_) return false;
      // Segments that are live as a whole are only moved: after two rounds nothing is to be had.
      if (turns_max == 0) turns_max = 2 * by_number_.size() + 2;
      if (turns == turns_max) return false;
    }
    const auto victim = next_victim();
    if (!victim) return false;
    if (!reclaim(victim, Survivors::some, left) && !give_up_oldest(left)) return false;
  }
}

std::shared_ptr<Segment> DiskTier::next_victim() const {
  const std::scoped_lock lock(mutex_);
  std::shared_ptr<Segment> oldest, emptiest;
  for (const auto& [number, id] : by_number_) {
    const auto& segment = segments_[id];
    if (segment == active_) continue;
    if (!oldest && !is_mostly_pinned(*segment)) oldest = segment;
    if (!emptiest || segment->live.record_bytes < emptiest->live.record_bytes) emptiest = segment;
  }
  if (!by_entry_ && capacity_.bytes != 0) return oldest;
  const bool costs_nothing = emptiest && is_mostly_dead(*emptiest);
  return costs_nothing || !is_tight() ? emptiest : oldest;
}

bool DiskTier::reclaim(const std::shared_ptr<Segment>& segment, Survivors survivors,
                       Leaving& left) {
  reclaiming_ = true;
  const bool is_empty = empty_out(segment, survivors, left);
  reclaiming_ = false;
  if (!is_empty) return false;
  evict_rest(segment, left);
  close_segment(segment);
  return true;
}

bool DiskTier::empty_out(const std::shared_ptr<Segment>& segment, Survivors survivors,
                         Leaving& left) {
  if (const auto entries = segment->entries()) {
    std::uint64_t room = survivors == Survivors::none ? 0 : room_for_hits(*segment);
    for (const SegmentEntry& record : *entries) {
      if (record.kind == RecordKind::removal) {
        carry_removal(record, segment, left);
        continue;
      }
      const auto found = look_up(record.hash);
      if (!found || found->segment != segment) continue;
      if (found->entry.offset() != record.offset) continue;
      const auto cause = keep_or_give_up(record, *found, room, left);
      // There is no place for what is pinned.
      if (cause == Cause::evicted && found->entry.pinned != 0) return false;
      if (cause) take_out(*found, *cause, Fate::file_goes, left, &record);
    }
  }
  return true;
}

// Hits and pins save at most half of a segment, pins alone three quarters, so that each one given
// up makes room.
std::uint64_t DiskTier::room_for_hits(const Segment& segment) const {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t half = segment_bytes_ / 2;
  return half - std::min(half, segment.live.pinned_bytes);
}

// nullopt: it stays, in another segment.
std::optional<Cause> DiskTier::keep_or_give_up(const SegmentEntry& record, const Found& found,
                                               std::uint64_t& room, Leaving& left) {
  if (is_expired(record.expires_ms)) return Cause::expired;
  bool may_go = found.entry.pinned == 0;
  {
    const std::scoped_lock lock(mutex_);
    may_go = may_go && gives_up_live();
  }
  if (may_go) {
    if (found.entry.visited == 0 || found.entry.bytes() > room) return Cause::evicted;
    room -= found.entry.bytes();
  }
  base::Buffer buffer(found.entry.bytes());
  const auto got = found.segment->file().read(found.entry.offset(), buffer.span());
  const auto whole = got ? decode_record(buffer.span().first(*got)) : std::nullopt;
  const auto sequence = sequence_of(found.segment->number(), found.entry.offset());
  if (!whole || whole->header.sequence != sequence) return Cause::lost;
  const auto placed = append(whole->header, whole->key, found.entry.hash, whole->payload, left);
  if (!placed) return Cause::evicted;
  publish(whole->key, *placed, found, true, left);
  return std::nullopt;
}

void DiskTier::evict_rest(const std::shared_ptr<Segment>& segment, Leaving& left) {
  // Not to be found by the footer: it is damaged.
  for (SlotId slot = 0;; ++slot) {
    std::optional<Found> found;
    {
      const std::scoped_lock lock(mutex_);
      if (segment->live.items == 0) return;
      while (slot < index_.slots() &&
             (index_.at(slot).place == 0 || segments_[index_.at(slot).segment] != segment)) {
        ++slot;
      }
      if (slot == index_.slots()) return;
      found = Found{slot, index_.at(slot), segment};
    }
    take_out(*found, Cause::lost, Fate::file_goes, left);
  }
}

void DiskTier::carry_removal(const SegmentEntry& record, const std::shared_ptr<Segment>& segment,
                             Leaving& left) {
  // All that it overruled is void in place, unless a write failed.
  if (!unsure_ || look_up(record.hash)) return;
  std::vector<std::shared_ptr<Segment>> older;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, id] : by_number_) {
      if (number < segment->number()) older.push_back(segments_[id]);
    }
  }
  const bool needed = std::any_of(older.begin(), older.end(),
                                  [&](const auto& one) { return one->may_contain(record.hash); });
  if (!needed && leftovers_.empty()) return;
  base::Buffer buffer(record.record_bytes());
  const auto got = segment->file().read(record.offset, buffer.span());
  const auto removal = got ? decode_record(buffer.span().first(*got)) : std::nullopt;
  if (removal) append(removal->header, removal->key, record.hash, {}, left);
}

void DiskTier::close_segment(const std::shared_ptr<Segment>& segment) {
  const std::uint64_t bytes = segment->disk_bytes();
  std::erase_if(to_kill_, [&](const auto& one) { return one.first == segment; });
  {
    const std::scoped_lock lock(mutex_);
    const auto at = by_number_.find(segment->number());
    segments_[at->second] = nullptr;
    by_number_.erase(at);
    if (active_ == segment) active_ = nullptr;
    leftover_bytes_ += bytes;
  }
  leftovers_.emplace_back(segment_name(segment->number()), bytes);
  delete_leftovers();
}

void DiskTier::delete_leftovers() {
  std::erase_if(leftovers_, [&](const auto& file) {
    if (!files_.remove(folder_, file.first)) {
      note_error();
      unsure_ = true;
      return false;
    }
    const std::scoped_lock lock(mutex_);
    leftover_bytes_ -= file.second;
    return true;
  });
}

}  // namespace varve::cache
