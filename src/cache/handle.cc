#include "varve/cache/handle.h"

#include <cstring>
#include <new>

#include "base/assert.h"
#include "base/bytes.h"
#include "cache/memory/page_runs.h"
#include "cache/pinned.h"
#include "cache/spare_blocks.h"

namespace varve::cache {
namespace {

// Ends with the last handle to it. A block of `make` follows it in the same allocation.
struct Alone : Pinned {
  std::shared_ptr<const void> owner;
  std::size_t block_bytes = 0;  // of all, if it stands in a block
  std::size_t page_bytes = 0;   // of that block, if it consists of whole pages
};
// Keeps the payload of a block on a cache line.
constexpr std::size_t kAloneBytes =
    (sizeof(Alone) + base::kBufferAlign - 1) / base::kBufferAlign * base::kBufferAlign;
constexpr std::align_val_t kAlign{base::kBufferAlign};

void free_block(void* block) { ::operator delete(block, kAlign); }

void start(Alone& alone) {
  alone.state.store(Pinned::kAlone | Pinned::kDying | 1, std::memory_order_relaxed);
}

}  // namespace

void Pinned::give_back() {
  // Acquires what all others did before they let go. No fence: TSan does not know them.
  if ((state.load(std::memory_order_acquire) & kAlone) == 0) {
    give_back_entry(*this);
    return;
  }
  auto* alone = static_cast<Alone*>(this);
  const std::size_t block_bytes = alone->block_bytes;
  if (block_bytes == 0) {
    delete alone;
    return;
  }
  const std::size_t page_bytes = alone->page_bytes;
  alone->~Alone();
  if (page_bytes > 0) {
    give_pages(alone, page_bytes);
    return;
  }
  if (!spare_blocks::keep(alone, block_bytes, free_block)) free_block(alone);
}

Handle Handle::copy_of(std::span<const std::byte> bytes) {
  std::span<std::byte> to_fill;
  Handle handle = make(bytes.size(), to_fill);
  if (!bytes.empty()) std::memcpy(to_fill.data(), bytes.data(), bytes.size());
  return handle;
}

Handle Handle::borrow(std::shared_ptr<const void> owner, std::span<const std::byte> bytes) {
  auto* alone = new Alone;
  alone->owner = std::move(owner);
  start(*alone);
  return {alone, bytes, 0, bytes.size()};
}

Handle Handle::make(std::size_t bytes, std::span<std::byte>& to_fill) {
  const std::size_t step = spare_blocks::kStep;
  const std::size_t block_bytes = (kAloneBytes + bytes + step - 1) / step * step;
  std::size_t page_bytes = 0;
  void* block = block_bytes < kPageRunBytesMin ? spare_blocks::take(block_bytes)
                                               : take_pages(block_bytes, page_bytes);
  if (block == nullptr) {
    page_bytes = 0;
    block = ::operator new(block_bytes, kAlign);
  }
  auto* alone = new (block) Alone;
  alone->page_bytes = page_bytes;
  alone->block_bytes = block_bytes;
  start(*alone);
  to_fill = {static_cast<std::byte*>(block) + kAloneBytes, bytes};
  return {alone, to_fill, 0, bytes};
}

}  // namespace varve::cache
