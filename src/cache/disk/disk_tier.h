// A log of entries in segments, with an index in memory.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/sync.h"
#include "cache/disk/files.h"
#include "cache/disk/index.h"
#include "cache/disk/segment.h"
#include "varve/cache/disk.h"
#include "varve/cache/policy.h"

namespace varve::cache {

// Two locks. `turn_` is of whoever writes and may be held over I/O: puts, removals, reclaim, one
// batch of recovery. `mutex_` guards the index and is never held over I/O. A get takes only the
// second, to look up a place; the segment it reads stays open while it does.
//
// What keeps the deleted deleted: of the records of one hash at most one is live on disk, and the
// index points to it. A record that stops being the one is made void in place (Segment::kill),
// after what takes its place was written. Where a crash came between the two, recovery finds both
// and the higher sequence wins. Nothing depends on another file being there or undamaged.
class DiskTier final : public Tier {
 public:
  // `lock` keeps other processes out. REQUIRES: options checked, files and clock set,
  // segments_max <= kSegmentsMax.
  DiskTier(DiskOptions options, std::unique_ptr<EvictionPolicy> policy, std::shared_ptr<void> lock,
           std::size_t segments_max);
  ~DiskTier() override;
  // Starts to read the files that are there.
  void start(const std::vector<FileAccess::Entry>& found);

  std::string_view name() const override { return "disk"; }
  Handle get(const Key& key) override;
  bool put(const Key& key, const Handle& value, const PutOptions& options) override;
  bool remove(const Key& key) override;
  bool may_contain(const Key& key) const override;
  bool pin(const Key& key, std::int64_t until_ms) override;
  bool unpin(const Key& key) override;
  bool is_pinned(const Key& key) const override;
  void each(const Visit& take) const override;
  void set_capacity(const Capacity& capacity) override;
  Capacity capacity() const override;
  TierStats stats() const override;
  void maintain() override;
  bool wait_until_known(std::chrono::milliseconds at_most) override;
  bool is_persistent() const override { return true; }
  void set_owner(TierOwner* owner) override;

 private:
  // An entry as it was in the index.
  struct Found {
    SlotId slot = kNowhere;
    IndexEntry entry;
    std::shared_ptr<Segment> segment;
  };
  // What the disk says about it.
  struct Identity {
    RecordHeader header;
    std::string key;
  };
  struct Left {
    std::string key;
    std::uint64_t hash = 0;
    Cause cause = Cause::evicted;
    bool was_hit = false;
    std::uint64_t version = 0;
  };
  // Collected under the locks, told outside of them.
  using Leaving = std::vector<Left>;
  struct Placed {
    SegmentId segment = 0;
    SegmentEntry entry;
  };
  enum class Fate {
    kill,              // its record is made void
    chosen_by_policy,  // the same, and the policy knows
    file_goes,         // with the file it lies in
  };
  enum class Survivors { none, some };
  enum class Reading { hit, miss, damaged, failed };

  // --- disk_tier.cc ---
  Status close_folder();
  std::optional<Found> look_up(std::uint64_t hash) const;
  std::optional<Found> look_up_for_get(std::uint64_t hash);
  Reading read_value(const Found& found, const Key& key, Handle& out);
  void drop_after_get(const Found& found, Cause cause);
  // nullopt: damaged, or it cannot be read.
  std::optional<Identity> identify(const Found& found) const;
  bool is_expired(std::int64_t expires_ms) const;
  void tell(const Leaving& left);
  void note_error() { ++errors_; }
  // With mutex_. The policy learns of all entries at the end of recovery, in the order of writing.
  bool asks_policy() const { return by_entry_ && !recovering_; }

  // --- disk_writes.cc; all with the turn ---
  bool write(const Key& key, const Handle& value, std::int64_t expires_ms, Leaving& left);
  // nullopt: no room, or the disk failed.
  std::optional<Placed> append(RecordHeader header, std::string_view key, std::uint64_t hash,
                               base::ByteSpan payload, Leaving& left);
  // REQUIRES: has_room.
  Result<Placed> write_record(const std::shared_ptr<Segment>& segment, RecordHeader header,
                              std::string_view key, std::uint64_t hash, base::ByteSpan payload);
  // What the index says from now on; the old place, if any, is void afterwards.
  void publish(std::string_view key, const Placed& placed, const std::optional<Found>& old,
               bool is_move, Leaving& left);
  // Takes an entry out of the index.
  // `record`, if known, saves reading it where nobody wants its key.
  void take_out(const Found& found, Cause cause, Fate fate, Leaving& left,
                const SegmentEntry* record = nullptr);
  void kill(const std::shared_ptr<Segment>& segment, std::uint64_t offset);
  void kill_again();
  void drop_expired(const Key& key);
  void bury(const Key& key, Leaving& left);
  bool may_write() const;
  void pause_writes();
  // With mutex_.
  void note_left(const IndexEntry& entry, Cause cause, const std::optional<Identity>& identity,
                 Leaving& left);
  void count_live(const IndexEntry& entry, const SegmentEntry& record);
  void count_dead(const IndexEntry& entry, const std::optional<Identity>& identity);

  // --- disk_reclaim.cc; all with the turn ---
  // A fresh active segment, and room for the one after it.
  bool roll(bool is_removal, Leaving& left);
  // Until so many bytes more fit the capacity; without one, until no segment is mostly dead. The
  // active segment stays. What bounds the tier instead of its capacity, a disk that is nearly full
  // or the number of segments, is kept the same way.
  bool make_room(std::uint64_t bytes, Leaving& left);
  void measure_disk();
  // True: that is the error.
  bool notice_full_disk(const Error& error);
  bool is_disk_full() const;
  // On a full disk, which has no room for copies: a whole file. False: none can go.
  bool give_up_oldest(Leaving& left);
  std::shared_ptr<Segment> next_victim() const;
  // False: it stays, since there is no other place for what of it is pinned.
  bool reclaim(const std::shared_ptr<Segment>& segment, Survivors survivors, Leaving& left);
  bool empty_out(const std::shared_ptr<Segment>& segment, Survivors survivors, Leaving& left);
  std::uint64_t room_for_hits(const Segment& segment) const;
  std::optional<Cause> keep_or_give_up(const SegmentEntry& record, const Found& found,
                                       std::uint64_t& room, Leaving& left);
  void evict_rest(const std::shared_ptr<Segment>& segment, Leaving& left);
  void carry_removal(const SegmentEntry& record, const std::shared_ptr<Segment>& segment,
                     Leaving& left);
  void close_segment(const std::shared_ptr<Segment>& segment);
  void seal_active();
  Result<std::shared_ptr<Segment>> create_segment();
  bool start_segment(Leaving& left);
  void delete_leftovers();
  // With mutex_.
  bool has_room(std::uint64_t bytes) const;
  bool has_segments_left() const { return by_number_.size() + 1 < segments_max_; }
  // Something else than the capacity bounds the files.
  bool is_tight() const {
    return disk_is_full_ || !has_segments_left() || bytes_max_ != capacity_.bytes;
  }
  // Whether room is made of entries that count, in the order of their files.
  bool gives_up_live() const { return is_tight() || (!by_entry_ && capacity_.bytes != 0); }
  SegmentId adopt(const std::shared_ptr<Segment>& segment);
  std::uint64_t used_bytes() const;
  std::uint64_t index_bytes() const;
  // Without.
  std::shared_ptr<Segment> active() const;

  // --- disk_upkeep.cc; all with the turn ---
  // Evicts entry by entry what the policy or the limit of items asks for.
  void evict_surplus(Leaving& left);
  bool evict_oldest(Leaving& left);
  bool load_oldest();
  void drop_all_expired(Leaving& left);
  void drop_unlinked(Leaving& left);
  std::uint64_t segment_bytes_for(const Capacity& capacity) const;
  void apply_capacity(const Capacity& capacity);

  // --- disk_pins.cc ---
  // The entry of exactly this key, if it counts.
  std::optional<Found> look_up_key(const Key& key) const;
  void release_pins();
  // With mutex_.
  void set_pinned(SlotId slot, bool pinned);
  // Pins whose time is over end before one is refused.
  bool make_pin_room(std::uint64_t bytes);

  // --- disk_recovery.cc ---
  struct Recovery;
  void recover(const Recovery& recovery);
  bool may_adopt() const;
  // nullptr: nothing of ours.
  std::shared_ptr<Segment> open_segment(std::uint32_t number);
  void load(const std::shared_ptr<Segment>& segment, const Recovery& recovery);
  // With both locks. False: the record does not count.
  bool load_entry(const SegmentEntry& record, SegmentId id);
  void finish_recovery();
  void tell_policy();  // with both locks
  void stop_recovery();

  const std::string folder_;
  const std::size_t segments_max_;
  const std::uint64_t segment_bytes_max_;
  const bool immutable_;
  const bool sync_at_seal_;
  const RemovalCallback on_removal_;
  base::Pool* const background_;
  FileAccess& files_;
  base::Clock& clock_;
  const std::unique_ptr<EvictionPolicy> policy_;
  // Whole files in the order of writing, or the policy's choice of entries.
  const bool by_entry_;
  std::shared_ptr<void> lock_;
  std::atomic<TierOwner*> owner_{nullptr};

  // With the turn.
  base::Turn turn_;
  std::uint64_t segment_bytes_ = 0;
  std::uint32_t next_number_ = 1;
  base::TimePoint paused_until_{};
  std::vector<std::byte> buffer_;  // the record being written
  bool reclaiming_ = false;
  // Some void record may be live on disk after a write that failed: removals are then written down
  // also for keys that are not known.
  bool unsure_ = false;
  std::vector<std::pair<std::shared_ptr<Segment>, std::uint64_t>> to_kill_;  // what failed
  std::vector<std::pair<std::string, std::uint64_t>> leftovers_;  // files to delete, with sizes
  struct Cursor {
    std::uint32_t number = 0;
    std::size_t next = 0;
    std::vector<SegmentEntry> entries;
  } oldest_;

  mutable std::mutex mutex_;
  Capacity capacity_ VARVE_GUARDED_BY(mutex_);
  // Of the files: the capacity, or what a disk that is nearly full leaves; 0: no limit.
  std::uint64_t bytes_max_ VARVE_GUARDED_BY(mutex_) = 0;
  bool disk_is_full_ VARVE_GUARDED_BY(mutex_) = false;         // said the last attempt to grow
  std::uint64_t live_bytes_max_ VARVE_GUARDED_BY(mutex_) = 0;  // of the policy; 0: no limit
  Live total_ VARVE_GUARDED_BY(mutex_);
  DiskIndex index_ VARVE_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Segment>> segments_ VARVE_GUARDED_BY(mutex_);  // by SegmentId
  std::map<std::uint32_t, SegmentId> by_number_ VARVE_GUARDED_BY(mutex_);
  std::shared_ptr<Segment> active_ VARVE_GUARDED_BY(mutex_);
  std::unordered_map<SlotId, std::int64_t> pins_ VARVE_GUARDED_BY(mutex_);  // until when
  // Chosen by the policy, which does not know it any more, and not taken out yet.
  SlotId leaving_ VARVE_GUARDED_BY(mutex_) = kNowhere;
  bool recovering_ VARVE_GUARDED_BY(mutex_) = false;
  // Hashes of which no older record counts, while recovery may still meet some.
  std::unordered_set<std::uint64_t> overruled_ VARVE_GUARDED_BY(mutex_);
  std::uint64_t unread_bytes_ VARVE_GUARDED_BY(mutex_) = 0;  // of files not yet recovered
  std::uint64_t leftover_bytes_ VARVE_GUARDED_BY(mutex_) = 0;
  TierStats counts_ VARVE_GUARDED_BY(mutex_);  // of what left, by cause

  std::atomic<std::uint64_t> hits_{0}, misses_{0}, errors_{0}, corrupt_{0};
  std::atomic<std::uint64_t> insertions_{0}, rejected_{0};
  std::atomic<std::uint64_t> buffer_bytes_{0};
  std::atomic<bool> paused_{false};

  std::shared_ptr<Recovery> recovery_;
  std::thread own_thread_;
};

// As open_disk_tier, with less segments than an index can name.
Result<std::unique_ptr<Tier>> open_disk_tier(DiskOptions options,
                                             std::unique_ptr<EvictionPolicy> policy,
                                             std::size_t segments_max);

}  // namespace varve::cache
