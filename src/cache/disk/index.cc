#include "cache/disk/index.h"

#include "base/assert.h"

namespace varve::cache {

std::size_t DiskIndex::position_of(std::uint64_t hash) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t i = hash & mask;
  while (table_[i] != kNowhere && at(table_[i]).hash != hash) i = (i + 1) & mask;
  return i;
}

SlotId DiskIndex::find(std::uint64_t hash) const {
  return table_.empty() ? kNowhere : table_[position_of(hash)];
}

void DiskIndex::grow() {
  constexpr std::size_t kFirst = 256;
  std::vector<SlotId> old(table_.empty() ? kFirst : table_.size() * 2, kNowhere);
  old.swap(table_);
  for (const SlotId slot : old) {
    if (slot != kNowhere) table_[position_of(at(slot).hash)] = slot;
  }
}

SlotId DiskIndex::insert(const IndexEntry& entry) {
  VARVE_DCHECK(entry.place != 0);
  if ((size_ + 1) * 8 > table_.size() * 7) grow();
  SlotId slot = free_;
  if (slot != kNowhere) {
    free_ = static_cast<SlotId>(at(slot).hash);
  } else {
    if (slots_ % kChunk == 0) chunks_.push_back(std::make_unique<IndexEntry[]>(kChunk));
    slot = slots_++;
  }
  at(slot) = entry;
  const std::size_t position = position_of(entry.hash);
  VARVE_DCHECK(table_[position] == kNowhere);
  table_[position] = slot;
  ++size_;
  return slot;
}

void DiskIndex::erase(SlotId slot) {
  const std::size_t mask = table_.size() - 1;
  std::size_t hole = position_of(at(slot).hash);
  VARVE_ASSERT(table_[hole] == slot);
  // What stands behind moves up unless it would come before the place where its search starts.
  for (std::size_t i = (hole + 1) & mask; table_[i] != kNowhere; i = (i + 1) & mask) {
    const std::size_t home = at(table_[i]).hash & mask;
    if (((i - home) & mask) < ((i - hole) & mask)) continue;
    table_[hole] = table_[i];
    hole = i;
  }
  table_[hole] = kNowhere;
  at(slot) = IndexEntry{};
  at(slot).hash = free_;
  free_ = slot;
  --size_;
}

std::size_t DiskIndex::resident_bytes() const {
  return chunks_.size() * kChunk * sizeof(IndexEntry) + chunks_.capacity() * sizeof(chunks_[0]) +
         table_.capacity() * sizeof(SlotId);
}

}  // namespace varve::cache
