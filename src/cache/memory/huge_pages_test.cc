#include "cache/memory/huge_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace varve::cache {
namespace {

// Whole huge pages, each of them backed by small ones.
class Region {
 public:
  explicit Region(std::size_t pages) : bytes_((pages + 1) * kHugePageBytes) {
    mapped_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(mapped_, MAP_FAILED);
    ::madvise(mapped_, bytes_, MADV_NOHUGEPAGE);
    const auto first = reinterpret_cast<std::uintptr_t>(mapped_);
    const std::size_t gap = (kHugePageBytes - first % kHugePageBytes) % kHugePageBytes;
    memory_ = std::span(static_cast<std::byte*>(mapped_) + gap, pages * kHugePageBytes);
    for (std::size_t i = 0; i < memory_.size(); ++i) memory_[i] = value_at(i);
  }
  ~Region() { ::munmap(mapped_, bytes_); }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  std::span<const std::byte> part(std::size_t begin, std::size_t end) const {
    return memory_.subspan(begin, end - begin);
  }
  static std::byte value_at(std::size_t i) { return static_cast<std::byte>(i * 31 + i / 4096); }
  bool is_unchanged() const {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      if (memory_[i] != value_at(i)) return false;
    }
    return true;
  }
  // Of the mappings that hold the region, as the kernel counts them.
  std::size_t huge_pages() const {
    const auto from = reinterpret_cast<std::uintptr_t>(memory_.data());
    std::ifstream maps("/proc/self/smaps");
    std::size_t kilobytes = 0;
    bool is_inside = false;
    for (std::string line; std::getline(maps, line);) {
      unsigned long begin = 0, end = 0, huge = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
        is_inside = begin < from + memory_.size() && end > from;
      } else if (is_inside && std::sscanf(line.c_str(), "AnonHugePages: %lu", &huge) == 1) {
        kilobytes += huge;
      }
    }
    return kilobytes * 1024 / kHugePageBytes;
  }

 private:
  std::size_t bytes_;
  void* mapped_ = nullptr;
  std::span<std::byte> memory_;
};

constexpr std::size_t kPage = kHugePageBytes;

TEST(HugePages, OnlyWhatIsFilledMovesAndKeepsItsBytes) {
  const Region region(4);
  ASSERT_EQ(region.huge_pages(), 0U);
  // The first is full, of two blocks in any order, the second nearly, the third half, the fourth
  // not.
  const std::size_t moved =
      move_into_huge_pages({region.part(2 * kPage, 2 * kPage + kPage / 2), region.part(700, kPage),
                            region.part(kPage, 2 * kPage - 4096), region.part(0, 700)});
  EXPECT_LE(moved, 2U);
  EXPECT_EQ(region.huge_pages(), moved);
  EXPECT_TRUE(region.is_unchanged());
  if (moved == 0) GTEST_SKIP() << "this kernel has no huge pages to give";
  // Again: they stay.
  EXPECT_GE(move_into_huge_pages({region.part(0, 2 * kPage)}), moved);
}

TEST(HugePages, ABlockOverSeveralMovesWhereItFillsThem) {
  const Region region(4);
  const std::size_t moved =
      move_into_huge_pages({region.part(kPage - 5000, 3 * kPage + 5000), {}, {}});
  EXPECT_LE(moved, 2U);
  EXPECT_EQ(region.huge_pages(), moved);
  EXPECT_TRUE(region.is_unchanged());
}

TEST(HugePages, OfNothingIsNothing) { EXPECT_EQ(move_into_huge_pages({}), 0U); }

}  // namespace
}  // namespace varve::cache
