// Tables that are searched at random in few large pages: with small ones the search for the page
// costs more than that for the entry.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

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

}  // namespace varve::cache
