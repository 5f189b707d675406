#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "cache/memory/entry.h"
#include "cache/memory/page_runs.h"

namespace varve::cache {
namespace {

// What glibc keeps in front of a block.
constexpr std::uint64_t kMallocHeaderBytes = 16;
// Looking through all of malloc's memory takes a millisecond or more.
constexpr std::uint64_t kFreedBytesMin = std::uint64_t{64} << 20;

std::atomic<std::uint64_t> freed_bytes{0};

std::size_t key_bytes_in_block(std::string_view key) {
  return key.size() <= kInlineKeyBytes ? 0 : key.size();
}

}  // namespace

Block* make_block(const Key& key, const Handle& value, std::int64_t expires_ms) {
  const std::span<const std::byte> bytes = value.bytes();
  const std::size_t in_front = key_bytes_in_block(key.bytes);
  const std::size_t align = payload_align(bytes.size());
  const std::size_t needed = sizeof(Block) + in_front + bytes.size() + align;
  std::size_t page_bytes = 0;
  void* memory = needed < kPageRunBytesMin ? nullptr : take_pages(needed, page_bytes);
  std::uint64_t charge = page_bytes;
  if (memory == nullptr) {
    memory = std::malloc(needed);
    if (memory == nullptr) return nullptr;
    page_bytes = 0;
    charge = malloc_usable_size(memory) + kMallocHeaderBytes;
  }
  auto* block = new (memory) Block{charge, page_bytes, expires_ms, value.raw_bytes(), 0};
  if (in_front > 0) std::memcpy(block + 1, key.bytes.data(), in_front);
  std::byte* payload =
      reinterpret_cast<std::byte*>(block) + payload_offset(block, key.bytes.size(), bytes.size());
  if (!bytes.empty()) std::memcpy(payload, bytes.data(), bytes.size());
  return block;
}

void free_block(Block* block) {
  if (block == nullptr) return;
  // Values come and go through malloc also if they are kept in pages.
  freed_bytes.fetch_add(block->charge, std::memory_order_relaxed);
  if (block->page_bytes > 0) {
    give_pages(block, block->page_bytes);
  } else {
    std::free(block);
  }
}

void give_back_freed_pages() {
  if (freed_bytes.load(std::memory_order_relaxed) < kFreedBytesMin) return;
  freed_bytes.store(0, std::memory_order_relaxed);
  ::malloc_trim(0);
}

}  // namespace varve::cache
