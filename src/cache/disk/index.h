// Where the entries of a disk tier lie: all that stays in memory of each.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "cache/record.h"
#include "varve/cache/policy.h"

namespace varve::cache {

using SegmentId = std::uint16_t;  // of the table of open segments
inline constexpr std::size_t kSegmentsMax = 16'000;
inline constexpr std::uint64_t kRecordBytesMax = std::uint64_t{64} << 20;

inline constexpr SlotId kNowhere = std::numeric_limits<SlotId>::max();

// 16 bytes: keys stay on disk, and the hash stands for them here.
struct IndexEntry {
  std::uint64_t hash = 0;
  std::uint64_t place : 24 = 0;   // offset / kRecordAlign; 0: the slot is free
  std::uint64_t length : 22 = 0;  // record bytes / kRecordAlign
  std::uint64_t segment : 14 = 0;
  std::uint64_t visited : 1 = 0;  // hit since it was written or moved
  std::uint64_t hit : 1 = 0;      // hit since it came in
  std::uint64_t pinned : 1 = 0;
  std::uint64_t expires : 1 = 0;  // its record says when

  std::uint64_t offset() const { return place * kRecordAlign; }
  std::uint64_t bytes() const { return length * kRecordAlign; }
  bool same_place(const IndexEntry& other) const {
    return place == other.place && segment == other.segment && hash == other.hash;
  }
};
static_assert(sizeof(IndexEntry) == 16);

// One entry for each hash. Slots are dense numbers that stay while an entry is held. 16 bytes an
// entry and 4 to 10 for the table that finds it. One thread at a time.
class DiskIndex {
 public:
  SlotId find(std::uint64_t hash) const;  // kNowhere: none
  // REQUIRES: the hash is not held, entry.place > 0.
  SlotId insert(const IndexEntry& entry);
  // REQUIRES: held.
  void erase(SlotId slot);
  // REQUIRES: slot < slots(). The hash is not to be changed.
  IndexEntry& at(SlotId slot) { return chunks_[slot / kChunk][slot % kChunk]; }
  const IndexEntry& at(SlotId slot) const { return chunks_[slot / kChunk][slot % kChunk]; }

  std::size_t size() const { return size_; }
  // Slots in use or free, for walks over all entries; free ones have place 0.
  SlotId slots() const { return slots_; }
  std::size_t resident_bytes() const;

 private:
  static constexpr std::size_t kChunk = 1024;

  // Where the hash stands in the table, or the empty place where it belongs.
  std::size_t position_of(std::uint64_t hash) const;
  void grow();

  // Chunks, so that growing copies no entry and leaves no half empty.
  std::vector<std::unique_ptr<IndexEntry[]>> chunks_;
  std::vector<SlotId> table_;  // power of two, linear probing
  std::size_t size_ = 0;
  SlotId slots_ = 0;
  SlotId free_ = kNowhere;  // list through the hashes of free slots
};

}  // namespace varve::cache
