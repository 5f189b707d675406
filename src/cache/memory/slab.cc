#include <algorithm>
#include <new>

#include "cache/memory/entry.h"
#include "cache/memory/huge_pages.h"

namespace varve::cache {
namespace {

std::size_t bytes_of(std::size_t group) { return Slab::kChunkBytes << group; }
std::align_val_t align_of(std::size_t group) {
  return std::align_val_t{bytes_of(group) < kHugePageBytes ? Slab::kChunkBytes : kHugePageBytes};
}
constexpr SlotId kSlotsMax = SlotId{1} << Entry::kSlotBits;

}  // namespace

Slab::~Slab() {
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (std::byte* chunks = groups_[group].load()) ::operator delete(chunks, align_of(group));
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
  const Place place = place_of(end_);
  std::byte* chunks = groups_[place.group].load(std::memory_order_relaxed);
  if (chunks == nullptr) {
    const std::size_t bytes = bytes_of(place.group);
    chunks = static_cast<std::byte*>(::operator new(bytes, align_of(place.group)));
    // A page is backed as a whole: of what is in use already, that is less than a half.
    wish_for_huge_pages(chunks, bytes);
  }
  Entry* chunk = chunk_of(chunks, place.offset);
  new (chunk) Header{shard_};
  for (SlotId i = 1; i < kSlotsPerChunk; ++i) {
    Entry* entry = new (chunk + i) Entry(end_ + i);
    new (&entry->rest()) EntryRest;
  }
  groups_[place.group].store(chunks, std::memory_order_release);
  next_ = end_ + 1;
  end_ += kSlotsPerChunk;
  // Giving back must not take memory: who makes room counts on it.
  if (free_.capacity() < end_) free_.reserve(std::max<std::size_t>(end_, 2 * free_.capacity()));
}

}  // namespace varve::cache
