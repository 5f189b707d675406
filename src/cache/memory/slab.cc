#include <algorithm>
#include <new>

#include "cache/memory/entry.h"
#include "cache/memory/huge_pages.h"

namespace varve::cache {
namespace {

std::size_t bytes_of(EntryPlace group) { return Slab::kChunkBytes << (group - 1); }
std::align_val_t align_of(EntryPlace group) {
  return std::align_val_t{bytes_of(group) < kHugePageBytes ? Slab::kChunkBytes : kHugePageBytes};
}
// One chunk less than there are slots.
constexpr SlotId kSlotsMax = (SlotId{1} << Entry::kSlotBits) - Slab::kSlotsPerChunk;

}  // namespace

Slab::~Slab() {
  for (EntryPlace group = 1; group <= kGroups; ++group) {
    if (zeros_[group] == 0) continue;
    ::operator delete(entry_at(group << kGroupShift), align_of(group));
  }
}

Entry* Slab::take() {
  if (!free_.empty()) {
    const SlotId slot = free_.back();
    free_.pop_back();
    return &at(slot);
  }
  if (next_ == end_) {
    if (end_ >= kSlotsMax) return nullptr;
    add_chunk();
  }
  return &at(next_++);
}

// A new group is address space only; the kernel backs it chunk by chunk as entries are made.
void Slab::add_chunk() {
  const EntryPlace place = place_of(end_);
  const EntryPlace group = place >> kGroupShift;
  std::uintptr_t zero = zeros_[group].load(std::memory_order_relaxed);
  if (zero == 0) {
    const std::size_t bytes = bytes_of(group);
    void* chunks = ::operator new(bytes, align_of(group));
    // A page is backed as a whole: of what is in use already, that is less than a half.
    wish_for_huge_pages(chunks, bytes);
    // Wraps around, and back in entry_at().
    const std::size_t before = std::size_t{group << kGroupShift} * sizeof(Entry);
    zero = reinterpret_cast<std::uintptr_t>(chunks) - before;
  }
  auto* chunk = reinterpret_cast<Entry*>(zero + std::size_t{place} * sizeof(Entry));
  new (chunk) Header{shard_};
  for (SlotId i = 1; i < kSlotsPerChunk; ++i) {
    Entry* entry = new (chunk + i) Entry(end_ + i);
    new (&entry->rest()) EntryRest;
  }
  zeros_[group].store(zero, std::memory_order_release);
  next_ = end_ + 1;
  end_ += kSlotsPerChunk;
  // Giving back must not take memory: who makes room counts on it.
  if (free_.capacity() < end_) free_.reserve(std::max<std::size_t>(end_, 2 * free_.capacity()));
}

}  // namespace varve::cache
