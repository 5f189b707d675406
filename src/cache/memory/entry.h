// Entries of memory tiers, in chunks that never move, so that readers without a lock may look at
// any entry at any time. What nearly every hit looks at takes half a cache line; all else stands
// apart, so that the hits of twice as many entries fit in the processor's caches.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "varve/cache/handle.h"
#include "varve/cache/policy.h"
#include "varve/cache/tier.h"

namespace varve::cache {

class Shard;

// Where an entry lies in its slab. 0: nowhere.
using EntryPlace = std::uint32_t;

// Longer keys stand in the block.
inline constexpr std::size_t kInlineKeyBytes = 16;

// In front of key and payload in the one block of an entry.
struct Block {
  std::uint64_t charge = 0;      // what the entry costs in all, with all rounding
  std::uint64_t page_bytes = 0;  // if it consists of whole pages; 0: malloc gave it
  std::int64_t expires_ms = 0;
  std::uint64_t raw_bytes = 0;
  std::size_t pin = 0;  // number of its pin in the shard, if it has one
};

inline std::size_t payload_align(std::size_t payload_bytes) {
  return payload_bytes < 1024 ? 16 : 64;  // large ones as the kernels like rows
}
// From the front of the block. REQUIRES: the block was allocated for these sizes.
inline std::uint32_t payload_offset(const Block* block, std::size_t key_bytes,
                                    std::size_t payload_bytes) {
  const std::size_t in_front = key_bytes <= kInlineKeyBytes ? 0 : key_bytes;
  const auto front = reinterpret_cast<std::uintptr_t>(block);
  const std::size_t align = payload_align(payload_bytes);
  const std::uintptr_t begin = front + sizeof(Block) + in_front;
  return static_cast<std::uint32_t>(((begin + align - 1) & ~(align - 1)) - front);
}

// With key and payload copied into it. Null: no memory.
Block* make_block(const Key& key, const Handle& value, std::int64_t expires_ms);
void free_block(Block* block);  // null: nothing to do
// malloc keeps the pages between blocks that live: gives them back if much was freed of late.
void give_back_freed_pages();

// What hits look at only if they are not plain, and writers. As long as an entry: see Entry::rest.
struct alignas(32) EntryRest {
  std::uint64_t hash = 0;
  Block* block = nullptr;
  std::uint32_t payload_at = 0;  // from the front of the block
  std::uint32_t payload_bytes = 0;
  std::uint16_t key_bytes = 0;
  std::uint8_t method = 0;
};

// State as in Pinned, with marks. Everything else is written before the entry is live and stays
// until it is free again, but for the marks.
struct alignas(32) Entry : Pinned {
  // Marks.
  static constexpr std::uint32_t kHit = kMarkOne;              // since it came in
  static constexpr std::uint32_t kUserPinned = kMarkOne << 1;  // not in the policy
  static constexpr std::uint32_t kExpires = kMarkOne << 2;
  // Key in the entry and of at least a word, the value itself in `plain_value_`, no end, a policy
  // that reads marks.
  static constexpr std::uint32_t kPlain = kMarkOne << 3;
  static_assert((kHit | kUserPinned | kExpires | kPlain) == kMarks);

  static constexpr std::size_t kPlainKeyBytesMin = sizeof(std::uint64_t);
  static constexpr int kSlotBits = 27;  // the length of a plain key stands above
  static constexpr std::size_t kEntriesPerChunk = 64;

  explicit Entry(SlotId slot) : slot_and_key_(slot) {}

  SlotId slot() const { return slot_and_key_ & ((SlotId{1} << kSlotBits) - 1); }
  // Entries of a chunk come first, then the rest of each.
  EntryRest& rest() const {
    const auto here = reinterpret_cast<std::uintptr_t>(this);
    return *reinterpret_cast<EntryRest*>(here + kEntriesPerChunk * sizeof(EntryRest));
  }
  std::uint64_t hash() const { return rest().hash; }
  Block* block() const { return rest().block; }
  std::string_view key() const {
    const EntryRest& more = rest();
    const char* text = more.key_bytes <= kInlineKeyBytes
                           ? inline_key_.data()
                           : reinterpret_cast<const char*>(more.block + 1);
    return {text, more.key_bytes};
  }
  std::span<const std::byte> payload() const {
    const EntryRest& more = rest();
    return {reinterpret_cast<const std::byte*>(more.block) + more.payload_at, more.payload_bytes};
  }
  // REQUIRES: is_usual_hit().
  std::span<const std::byte> plain_payload() const {
    const std::uintptr_t address = plain_value_ << kLengthBits >> (kLengthBits - kAlignBits);
    return {reinterpret_cast<const std::byte*>(address), plain_value_ >> kAddressBits};
  }
  bool is_marked(std::uint32_t mark) const {
    return (state.load(std::memory_order_relaxed) & mark) != 0;
  }
  // Whether it is live, plain, was hit before and has this key. Looks at both words of the key,
  // which overlap, without a branch: it is short and nearly always equal here.
  bool is_usual_hit(std::string_view other) const {
    constexpr std::size_t kWord = sizeof(std::uint64_t);
    static_assert(kPlainKeyBytesMin == kWord && kInlineKeyBytes <= 2 * kWord);
    constexpr std::uint32_t kUsual = kLive | kHit | kPlain;
    if ((state.load(std::memory_order_seq_cst) & kUsual) != kUsual) return false;
    if (other.size() != slot_and_key_ >> kSlotBits) return false;
    const auto differ = [&](std::size_t at) {
      std::uint64_t mine, its;
      std::memcpy(&mine, inline_key_.data() + at, kWord);
      std::memcpy(&its, other.data() + at, kWord);
      return mine ^ its;
    };
    return (differ(0) | differ(other.size() - kWord)) == 0;
  }
  void mark(std::uint32_t mark) { state.fetch_or(mark, std::memory_order_relaxed); }
  void unmark(std::uint32_t mark) { state.fetch_and(~mark, std::memory_order_relaxed); }

  // Writer. Makes a free entry live. `may_be_plain`: the policy reads marks.
  void start(const Key& key, const EntryRest& its_rest, bool may_be_plain);

 private:
  // An address of 48 bits, all that user space has unless a process asks for more, without the
  // lowest four, which alignment makes zero, and a length above.
  static constexpr int kAlignBits = 4;
  static constexpr int kAddressBits = 48 - kAlignBits;
  static constexpr int kLengthBits = 64 - kAddressBits;

  SlotId slot_and_key_;
  std::uint64_t plain_value_ = 0;
  std::array<char, kInlineKeyBytes> inline_key_;
};
static_assert(sizeof(Entry) == 32 && sizeof(EntryRest) == sizeof(Entry));

// Slot numbers to entries and back, in groups of chunks that double, so that growth moves nothing.
// Slots whose number is a multiple of kSlotsPerChunk do not exist: there the chunk says what it
// belongs to. One writer at a time; readers need no lock.
class Slab {
 public:
  static constexpr std::uint32_t kSlotsPerChunk = Entry::kEntriesPerChunk;
  static constexpr std::size_t kSlotBytes = sizeof(Entry) + sizeof(EntryRest);
  static constexpr std::size_t kChunkBytes = kSlotsPerChunk * kSlotBytes;
  static constexpr std::uint32_t kGroups = 21;
  static_assert(kSlotsPerChunk << kGroups == SlotId{1} << Entry::kSlotBits);

  explicit Slab(Shard& shard) : shard_(&shard) {}
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // An entry that nobody uses. Null: there are no more.
  Entry* take();
  void give_back(Entry& entry) { free_.push_back(entry.slot()); }

  // REQUIRES: `slot` was taken before some release that this thread has acquired.
  Entry& at(SlotId slot) const { return *entry_at(place_of(slot)); }
  // Null at place 0. REQUIRES: as above of its slot.
  Entry* entry_at(EntryPlace place) const {
    const std::uintptr_t zero = zeros_.data()[place >> kGroupShift].load(std::memory_order_acquire);
    return reinterpret_cast<Entry*>(zero + std::uintptr_t{place} * sizeof(Entry));
  }
  // Group n has 2^(n-1) chunks. Of a place, the lowest bits count entries from the front of the
  // group, as if the rest of each were one as well; those above are the number of the group.
  static EntryPlace place_of(SlotId slot) {
    const SlotId chunk = slot / kSlotsPerChunk + 1;
    const auto group = static_cast<EntryPlace>(std::bit_width(chunk));
    const EntryPlace before = (chunk - (SlotId{1} << (group - 1))) * kPlacesPerChunk;
    return group << kGroupShift | before | slot % kSlotsPerChunk;
  }
  static Shard& shard_of(const Entry& entry) { return *header_of(entry).shard; }
  // Address space that was not used yet is not counted.
  std::size_t resident_bytes() const {
    return std::size_t{end_} * kSlotBytes + free_.capacity() * sizeof(SlotId);
  }

 private:
  static constexpr EntryPlace kPlacesPerChunk = kChunkBytes / sizeof(Entry);
  static constexpr int kGroupShift = Entry::kSlotBits;
  static_assert(kPlacesPerChunk << (kGroups - 1) <= SlotId{1} << kGroupShift);

  struct alignas(sizeof(Entry)) Header {
    Shard* shard;
  };
  static const Header& header_of(const Entry& entry) {
    const std::size_t offset = reinterpret_cast<std::uintptr_t>(&entry) & (kChunkBytes - 1);
    return *reinterpret_cast<const Header*>(reinterpret_cast<const std::byte*>(&entry) - offset);
  }
  void add_chunk();

  Shard* shard_;
  SlotId end_ = 0;   // slots so far, those that do not exist included
  SlotId next_ = 0;  // never used yet
  std::vector<SlotId> free_;
  // Where place 0 would lie if the places of a group were the only ones; 0: there is no such group.
  std::array<std::atomic<std::uintptr_t>, kGroups + 1> zeros_{};
};

}  // namespace varve::cache
