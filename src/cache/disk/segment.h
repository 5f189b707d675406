// One file of a disk tier: open for appending, or sealed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/disk/files.h"
#include "cache/disk/layout.h"

namespace varve::cache {

// What of a segment the index still points to.
struct Live {
  std::uint64_t items = 0;
  std::uint64_t record_bytes = 0, value_bytes = 0, raw_bytes = 0;
  std::uint64_t pinned_bytes = 0;  // of the first
};

// `read` from any thread at any time; all else by whoever has the turn to write.
class Segment {
 public:
  // Claims `bytes` on the disk. `overloaded`: it is full. `not_found`: the folder is gone.
  // `conflict`: the number is taken.
  static Result<std::shared_ptr<Segment>> create(FileAccess& files, const std::string& folder,
                                                 std::uint32_t number, std::uint64_t bytes);
  // A file of an earlier process: nullopt if it is of a version that is not ours. `corrupt`: it is
  // no segment of this number. One without a sound footer is scanned up to the first record that
  // fails its check, and sealed there.
  static Result<std::optional<std::shared_ptr<Segment>>> open(FileAccess& files,
                                                              const std::string& folder,
                                                              std::uint32_t number);

  // False: certainly not a segment that this version would open.
  static bool may_be_ours(FileAccess& files, const std::string& folder, std::uint32_t number);
  static bool is_of_another_version(FileAccess& files, const std::string& folder,
                                    std::uint32_t number);

  std::uint32_t number() const { return number_; }
  File& file() { return *file_; }
  // What it takes on the disk, or may take until it is sealed.
  std::uint64_t disk_bytes() const { return disk_bytes_; }  // from any thread
  // Memory for the records of one that is not sealed.
  std::uint64_t list_bytes() const { return list_bytes_; }  // from any thread
  bool is_sealed() const { return trailer_.has_value(); }

  // Where the next record goes.
  std::uint64_t tail() const { return tail_; }
  bool has_room(std::uint64_t record_bytes) const;
  // REQUIRES: has_room, entry.offset is tail().
  Status append(base::ByteSpan record, const SegmentEntry& entry);
  // Writes the footer and gives back the room behind it. After an error it can be tried again.
  Status seal(bool sync);
  // What was written lasts. Does nothing where it does already.
  Status sync();
  // Makes the record at `offset` void, so that no damage elsewhere can bring it back.
  Status kill(std::uint64_t offset);
  // All records, of those sealed from the footer. `corrupt`: it is damaged.
  Result<std::vector<SegmentEntry>> entries();
  // Passes every hash where the footer cannot be read.
  bool may_contain(std::uint64_t hash);

  // For the owner's counting, under its lock.
  Live live;
  std::int64_t earliest_expiry_ms = 0;  // 0: none expires

 private:
  Segment(std::unique_ptr<File> file, std::uint32_t number, std::uint64_t reserved)
      : file_(std::move(file)), number_(number), reserved_(reserved), disk_bytes_(reserved) {}
  Status scan(std::uint64_t file_bytes);
  Status load_trailer(std::uint64_t file_bytes);
  Result<Footer> read_footer();
  void count_list() { list_bytes_ = entries_.capacity() * sizeof(SegmentEntry); }
  Status mark_in_footer(std::uint64_t offset);

  std::unique_ptr<File> file_;
  std::uint32_t number_;
  std::uint64_t reserved_;
  std::uint64_t tail_ = kSegmentHeaderBytes;
  std::vector<SegmentEntry> entries_;  // until it is sealed
  std::optional<Trailer> trailer_;     // once it is
  bool is_dirty_ = false;              // written since it was opened or synced
  std::atomic<std::uint64_t> disk_bytes_;
  std::atomic<std::uint64_t> list_bytes_{0};
};

}  // namespace varve::cache
