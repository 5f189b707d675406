#include "cache/memory/huge_pages.h"

#include <algorithm>
#include <cerrno>

namespace varve::cache {
namespace {

#ifdef MADV_COLLAPSE
constexpr int kCollapse = MADV_COLLAPSE;
#else
constexpr int kCollapse = 25;  // of Linux 6.1; the C library may be older than the kernel
#endif

// Of a huge page, what blocks have to fill.
constexpr std::size_t kFilledMin = kHugePageBytes / 8 * 7;

// An advice that the kernel does not know is refused for no bytes too.
bool kernel_can() {
  static const bool can = ::madvise(nullptr, 0, kCollapse) == 0;
  return can;
}

bool collapse(std::uintptr_t page) {
  void* const begin = reinterpret_cast<void*>(page);  // NOLINT(performance-no-int-to-ptr)
  if (::madvise(begin, kHugePageBytes, kCollapse) == 0) return true;
  if (errno != EINVAL) return false;
  // Huge pages are forbidden here (page_runs.cc), so that the kernel makes none by itself.
  ::madvise(begin, kHugePageBytes, MADV_HUGEPAGE);
  const bool done = ::madvise(begin, kHugePageBytes, kCollapse) == 0;
  ::madvise(begin, kHugePageBytes, MADV_NOHUGEPAGE);
  return done;
}

}  // namespace

std::size_t move_into_huge_pages(std::vector<std::span<const std::byte>> blocks) {
  if (!kernel_can()) return 0;
  std::sort(blocks.begin(), blocks.end(),
            [](const auto& a, const auto& b) { return a.data() < b.data(); });
  std::size_t moved = 0, filled = 0;
  std::uintptr_t page = 0;
  const auto end_page = [&] {
    if (filled >= kFilledMin && collapse(page)) ++moved;
    filled = 0;
  };
  for (const auto& block : blocks) {
    auto at = reinterpret_cast<std::uintptr_t>(block.data());
    const std::uintptr_t end = at + block.size();
    while (at < end) {
      const std::uintptr_t its_page = at & ~(kHugePageBytes - 1);
      if (its_page != page) {
        end_page();
        page = its_page;
      }
      const std::uintptr_t stop = std::min<std::uintptr_t>(end, page + kHugePageBytes);
      filled += stop - at;
      at = stop;
    }
  }
  end_page();
  return moved;
}

}  // namespace varve::cache
