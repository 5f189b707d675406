#include <algorithm>
#include <new>

#include "cache/memory/entry.h"

namespace varve::cache {
namespace {

constexpr std::align_val_t kAlign{Slab::kChunkBytes};
constexpr SlotId kSlotsMax = SlotId{1} << 31;

}  // namespace

Slab::~Slab() {
  for (auto& group : groups_) {
    if (Entry* entries = group.load()) ::operator delete(entries, kAlign);
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
  Entry* entries = groups_[place.group].load(std::memory_order_relaxed);
  if (entries == nullptr) {
    entries = static_cast<Entry*>(::operator new(kChunkBytes << place.group, kAlign));
  }
  Entry* chunk = entries + place.offset;
  new (chunk) Header{shard_};
  for (SlotId i = 1; i < kSlotsPerChunk; ++i) (new (chunk + i) Entry)->slot = end_ + i;
  groups_[place.group].store(entries, std::memory_order_release);
  next_ = end_ + 1;
  end_ += kSlotsPerChunk;
  // Giving back must not take memory: who makes room counts on it.
  if (free_.capacity() < end_) free_.reserve(std::max<std::size_t>(end_, 2 * free_.capacity()));
}

}  // namespace varve::cache
