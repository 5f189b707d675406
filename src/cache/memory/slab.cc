#include <new>

#include "cache/memory/entry.h"

namespace varve::cache {

Slab::~Slab() {
  for (auto& slot : directories_) {
    Directory* directory = slot.load();
    if (directory == nullptr) continue;
    for (auto& page : *directory) delete page.load();
    delete directory;
  }
}

bool Slab::take(SlotId& slot) {
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
    return true;
  }
  if (next_ == end_) {
    if (end_ >> kDirectoryBits == kDirectories) return false;
    add_chunk();
  }
  slot = next_++;
  return true;
}

void Slab::add_chunk() {
  auto& place = directories_[end_ >> kDirectoryBits];
  if (place.load(std::memory_order_relaxed) == nullptr) {
    // Small caches pay for the chunks that they use: a directory is 32 KiB of address space that
    // the kernel backs as it is written.
    place.store(new Directory{}, std::memory_order_release);
    bytes_ += sizeof(Directory);
  }
  auto* chunk = new Chunk;
  for (std::uint32_t i = 1; i < kSlotsPerChunk; ++i) new (&chunk->entries[i]) Entry;
  chunk->header.shard = shard_;
  chunk->header.first_slot = end_;
  Directory& directory = *place.load(std::memory_order_relaxed);
  directory[end_ >> kChunkBits & (kDirectorySize - 1)].store(chunk, std::memory_order_release);
  bytes_ += sizeof(Chunk);
  next_ = end_ + 1;
  end_ += kSlotsPerChunk;
}

}  // namespace varve::cache
