// Entries of memory tiers: one cache line each, in chunks that never move, so that readers without
// a lock may look at any entry at any time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "cache/policy.h"
#include "varve/cache/handle.h"

namespace varve::cache {

class Shard;

// In front of key and payload in the one block that malloc gave for an entry.
struct Block {
  std::uint64_t charge = 0;  // what the entry costs in all, with the rounding of malloc
  std::int64_t expires_ms = 0;
  std::uint64_t raw_bytes = 0;
};

// State as in Pinned. Everything else is written before the entry is live and stays until it is
// free again, but for the marks.
struct alignas(64) Entry : Pinned {
  static constexpr std::size_t kInlineKeyBytes = 24;
  // Marks.
  static constexpr std::uint8_t kHit = 1;         // since it came in
  static constexpr std::uint8_t kUserPinned = 2;  // not in the policy
  static constexpr std::uint8_t kExpires = 4;

  std::uint64_t hash = 0;
  const std::byte* payload = nullptr;
  Block* block = nullptr;
  std::uint32_t payload_bytes = 0;
  std::uint16_t key_bytes = 0;
  std::uint8_t method = 0;
  std::atomic<std::uint8_t> marks{0};
  std::array<char, kInlineKeyBytes> inline_key;  // keys that are longer stand behind the block

  std::string_view key() const {
    const char* text =
        key_bytes <= kInlineKeyBytes ? inline_key.data() : reinterpret_cast<const char*>(block + 1);
    return {text, key_bytes};
  }
  bool is_marked(std::uint8_t mark) const {
    return (marks.load(std::memory_order_relaxed) & mark) != 0;
  }
  void mark(std::uint8_t mark) { marks.fetch_or(mark, std::memory_order_relaxed); }
  void unmark(std::uint8_t mark) {
    marks.fetch_and(static_cast<std::uint8_t>(~mark), std::memory_order_relaxed);
  }
};
static_assert(sizeof(Entry) == 64);

// Slot numbers to entries and back. Slots whose number is a multiple of kSlotsPerChunk do not exist:
// the line holds what the chunk belongs to. One writer at a time; readers need no lock.
class Slab {
 public:
  static constexpr std::uint32_t kSlotsPerChunk = 64;
  static constexpr std::size_t kChunkBytes = kSlotsPerChunk * sizeof(Entry);

  explicit Slab(Shard& shard) : shard_(&shard) {}
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // A slot that nobody uses. False: there are no more.
  bool take(SlotId& slot);
  void give_back(SlotId slot) { free_.push_back(slot); }

  // REQUIRES: `slot` was taken before some release that this thread has acquired.
  Entry& at(SlotId slot) const {
    const Directory* pages = directories_[slot >> kDirectoryBits].load(std::memory_order_acquire);
    Chunk* chunk = (*pages)[slot >> kChunkBits & (kDirectorySize - 1)].load(
        std::memory_order_acquire);
    return chunk->entries[slot & (kSlotsPerChunk - 1)];
  }
  static Shard& shard_of(const Entry& entry) { return *chunk_of(entry)->header.shard; }
  static SlotId slot_of(const Entry& entry) {
    const Chunk* chunk = chunk_of(entry);
    return chunk->header.first_slot + static_cast<SlotId>(&entry - chunk->entries);
  }
  std::size_t resident_bytes() const { return bytes_ + free_.capacity() * sizeof(SlotId); }

 private:
  static constexpr unsigned kChunkBits = 6;
  static constexpr unsigned kDirectoryBits = 18;  // slots of one directory: 4,096 chunks
  static constexpr std::size_t kDirectorySize = std::size_t{1} << (kDirectoryBits - kChunkBits);
  static constexpr std::size_t kDirectories = 1024;  // 2^28 slots

  // On a boundary of its own size, so that an entry finds it.
  union alignas(kChunkBytes) Chunk {
    Chunk() {}
    ~Chunk() {}
    struct {
      Shard* shard;
      SlotId first_slot;
    } header;
    Entry entries[kSlotsPerChunk];
  };
  using Directory = std::array<std::atomic<Chunk*>, kDirectorySize>;

  static const Chunk* chunk_of(const Entry& entry) {
    const auto address = reinterpret_cast<std::uintptr_t>(&entry);
    return reinterpret_cast<const Chunk*>(address & ~std::uintptr_t{kChunkBytes - 1});
  }
  void add_chunk();

  Shard* shard_;
  SlotId end_ = 0;  // slots so far, those that do not exist included
  SlotId next_ = 0;
  std::vector<SlotId> free_;
  std::size_t bytes_ = 0;
  std::array<std::atomic<Directory*>, kDirectories> directories_{};
};

}  // namespace varve::cache
