#include <algorithm>

#include "base/pool.h"
#include "cache/disk/disk_tier.h"

namespace varve::cache {
namespace {

// Entries that are taken over in one turn: writers wait for so many.
constexpr std::size_t kBatch = 1024;

}  // namespace

// Shared with the task in a pool, which may come after the tier is gone.
struct DiskTier::Recovery {
  std::vector<std::pair<std::uint32_t, std::uint64_t>> files;  // number and size, newest first
  std::atomic<bool> claimed{false};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  base::CondVar changed;
  bool done = false;
};

void DiskTier::start(const std::vector<FileAccess::Entry>& found) {
  auto recovery = std::make_shared<Recovery>();
  for (const FileAccess::Entry& file : found) {
    if (const auto number = segment_number(file.name)) {
      recovery->files.emplace_back(*number, file.bytes);
      unread_bytes_ += file.bytes;
    }
  }
  if (recovery->files.empty()) return;
  std::sort(recovery->files.rbegin(), recovery->files.rend());
  for (const auto& [number, bytes] : recovery->files) {
    if (!Segment::may_be_ours(files_, folder_, number)) continue;
    next_number_ = number + 1;
    break;
  }
  recovering_ = true;
  recovery_ = recovery;
  auto task = [this, recovery] {
    if (recovery->claimed.exchange(true)) return;
    recover(*recovery);
    const std::scoped_lock lock(recovery->mutex);
    recovery->done = true;
    recovery->changed.notify_all();
  };
  if (background_ == nullptr || !background_->post(task)) own_thread_ = std::thread(task);
}

bool DiskTier::wait_until_known(std::chrono::milliseconds at_most) {
  if (!recovery_) return true;
  // A wait for a thread: the time of the system, whatever the entries are told.
  const base::TimePoint until = base::system_clock().now() + at_most;
  std::unique_lock lock(recovery_->mutex);
  while (!recovery_->done && base::system_clock().now() < until) {
    recovery_->changed.wait_until(lock, until);
  }
  return recovery_->done;
}

void DiskTier::stop_recovery() {
  if (!recovery_) return;
  recovery_->stop = true;
  // A task that has not begun never will.
  if (recovery_->claimed.exchange(true)) {
    std::unique_lock lock(recovery_->mutex);
    while (!recovery_->done) recovery_->changed.wait(lock);
  }
  if (own_thread_.joinable()) own_thread_.join();
}

void DiskTier::recover(const Recovery& recovery) {
  for (const auto& [number, bytes] : recovery.files) {
    if (recovery.stop) return;
    const auto segment = open_segment(number);
    {
      const base::Turn::Held held(turn_);
      const std::scoped_lock lock(mutex_);
      unread_bytes_ -= bytes;
      if (segment) adopt(segment);
    }
    if (segment) load(segment, recovery);
  }
  if (!recovery.stop) finish_recovery();
}

bool DiskTier::may_adopt() const {
  const std::scoped_lock lock(mutex_);
  return has_segments_left();
}

std::shared_ptr<Segment> DiskTier::open_segment(std::uint32_t number) {
  auto opened = Segment::open(files_, folder_, number);
  if (opened && (!*opened || may_adopt())) return opened->value_or(nullptr);
  if (opened) {
    // As good as evicted: a file that nobody reads takes room and keeps what is replaced since.
    if (files_.remove(folder_, segment_name(number))) return nullptr;
    opened = fail(ErrorKind::unavailable, "a segment too many stays");
  }
  if (opened.error().kind == ErrorKind::not_found) return nullptr;
  if (opened.error().kind == ErrorKind::corrupt) {
    // Not left for later: a file that comes back to its name would bring back what was deleted.
    ++corrupt_;
    if (files_.remove(folder_, segment_name(number))) return nullptr;
  }
  note_error();
  const base::Turn::Held held(turn_);
  unsure_ = true;
  return nullptr;
}

void DiskTier::load(const std::shared_ptr<Segment>& segment, const Recovery& recovery) {
  const auto entries = segment->entries();
  if (!entries) return;
  // The newest first: of one hash the first that is met counts.
  for (std::size_t end = entries->size(); end > 0 && !recovery.stop;) {
    const std::size_t from = end > kBatch ? end - kBatch : 0;
    std::vector<std::uint64_t> to_kill;
    const base::Turn::Held held(turn_);
    {
      const std::scoped_lock lock(mutex_);
      const auto id = by_number_.find(segment->number());
      if (id == by_number_.end()) return;  // deleted meanwhile
      for (std::size_t i = end; i-- > from;) {
        const SegmentEntry& record = (*entries)[i];
        if (!load_entry(record, id->second)) to_kill.push_back(record.offset);
      }
    }
    for (const std::uint64_t offset : to_kill) kill(segment, offset);
    end = from;
  }
}

bool DiskTier::load_entry(const SegmentEntry& record, SegmentId id) {
  if (record.dead) return true;
  const bool is_known = index_.find(record.hash) != kNowhere;
  if (record.kind == RecordKind::removal) {
    if (!is_known) overruled_.insert(record.hash);
    return true;
  }
  if (is_known || overruled_.contains(record.hash) || is_expired(record.expires_ms)) return false;
  // No tier writes such; a footer of others may list them.
  if (record.offset >= kSegmentBytesMax || record.record_bytes() >= kRecordBytesMax) return true;
  IndexEntry entry;
  entry.hash = record.hash;
  entry.place = record.offset / kRecordAlign & 0xFFFFFF;
  entry.length = record.record_bytes() / kRecordAlign & 0x3FFFFF;
  entry.segment = id & 0x3FFF;
  entry.expires = record.expires_ms != 0;
  count_live(entry, record);
  index_.insert(entry);
  return true;
}

void DiskTier::finish_recovery() {
  Leaving left;
  {
    const base::Turn::Held held(turn_);
    {
      const std::scoped_lock lock(mutex_);
      recovering_ = false;
      overruled_ = std::unordered_set<std::uint64_t>();
      if (by_entry_) tell_policy();
    }
    evict_surplus(left);
    make_room(0, left);
  }
  tell(left);
}

void DiskTier::tell_policy() {
  std::vector<std::pair<std::uint64_t, SlotId>> slots;
  slots.reserve(index_.size());
  for (SlotId slot = 0; slot < index_.slots(); ++slot) {
    const IndexEntry& entry = index_.at(slot);
    if (entry.place == 0 || entry.pinned != 0) continue;
    slots.emplace_back(sequence_of(segments_[entry.segment]->number(), entry.offset()), slot);
  }
  std::sort(slots.begin(), slots.end());
  for (const auto& [sequence, slot] : slots) {
    policy_->insert(slot, index_.at(slot).hash, index_.at(slot).bytes());
  }
}

}  // namespace varve::cache
