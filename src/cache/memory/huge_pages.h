// Memory that is looked at here and there in few large pages: with small ones the search for the
// page costs more than that for the bytes.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace varve::cache {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// Asks for them where whole ones fit between `begin` and its end. It is a wish: nothing depends on
// it. Before the memory is used.
inline void wish_for_huge_pages(void* begin, std::size_t bytes) {
  const auto first = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t from = (first + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
  const std::uintptr_t to = (first + bytes) & ~(kHugePageBytes - 1);
  if (from < to) ::madvise(static_cast<char*>(begin) + (from - first), to - from, MADV_HUGEPAGE);
}

// Moves memory that is in use, and will be for long, into huge pages: all of those that the blocks
// fill for the most part. Others stay as they are, so that hardly more is backed than before. The
// blocks may be read meanwhile. Returns how many huge pages there are now; 0 where the kernel
// cannot (Linux before 6.1). Costs a copy of what is not in huge pages yet.
std::size_t move_into_huge_pages(std::vector<std::span<const std::byte>> blocks);

}  // namespace varve::cache
