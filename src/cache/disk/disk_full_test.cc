// What bounds a disk tier beside its capacity: the disk, and the number of segments.
#include "cache/disk/disk_test.h"

namespace varve::cache {
namespace {

using namespace disk_test;

class FullDisk : public testing::TestWithParam<const char*> {
 protected:
  FullDisk() {
    bed.policy = GetParam();
    bed.options.on_removal = [this](const Removal& removal) {
      EXPECT_EQ(removal.cause, Cause::evicted);
      ++told;
    };
  }
  void fill(int from, int to) {
    for (int i = from; i < to; ++i) {
      ASSERT_TRUE(put(*bed.tier, fmt::format("key {}", i), long_value(i))) << i;
      ASSERT_EQ(get(*bed.tier, fmt::format("key {}", i)), long_value(i)) << i;
    }
  }
  std::uint64_t free_bytes() { return bed.files.space("f")->free; }

  Bed bed;
  int told = 0;
};
INSTANTIATE_TEST_SUITE_P(Policies, FullDisk, testing::Values("fifo", "lru"));

TEST_P(FullDisk, AtTheLimitOfSegmentsTheOldestGivesWayForFewCopies) {
  bed.segments_max = 8;
  bed.open();
  int writes = 0;
  bed.files.set_faults([&](MemoryFiles::Call call) {
    writes += call == MemoryFiles::Call::extend;
    return MemoryFiles::Fault::none;
  });
  for (int i = 0; i < 1000; ++i) {
    writes = 0;
    fill(i, i + 1);
    ASSERT_LE(writes, 40) << i;
  }
  bed.files.set_faults(nullptr);
  const TierStats stats = bed.tier->stats();
  EXPECT_EQ(stats.rejected + stats.errors, 0U);
  EXPECT_EQ(stats.evicted, static_cast<std::uint64_t>(told));
  EXPECT_EQ(stats.items + stats.evicted, 1000U);
  EXPECT_GT(stats.items, 60U);
  EXPECT_EQ(get(bed.reopen_after_kill(), "key 999"), long_value(999));
}

TEST_P(FullDisk, SegmentsBeyondTheLimitAreGivenUpAtOpen) {
  bed.open();
  fill(0, 300);
  bed.segments_max = 8;
  bed.open();
  EXPECT_LE(bed.tier->stats().disk_bytes, 8U * 4096);
  EXPECT_EQ(get(*bed.tier, "key 299"), long_value(299));
  bed.tier.reset();
  EXPECT_LE(bed.segments().size(), 8U);
}

TEST_P(FullDisk, WithoutACapacityAShareOfTheDiskStaysFree) {
  constexpr std::uint64_t kDisk = 200 << 10;
  bed.files.set_disk_bytes(kDisk);
  bed.open();
  for (int i = 0; i < 2000; ++i) {
    fill(i, i + 1);
    ASSERT_GE(free_bytes(), kDisk / 20) << i;
  }
  EXPECT_GT(bed.tier->stats().items, 400U);
  EXPECT_EQ(bed.tier->stats().rejected + bed.tier->stats().errors, 0U);
}

TEST_P(FullDisk, GivesBackWhatOthersTakeAPieceAtATime) {
  bed.open();
  fill(0, 1000);
  const std::uint64_t before = bed.tier->stats().disk_bytes;
  bed.files.fill_disk(0);
  bed.tier->maintain();
  EXPECT_GE(bed.tier->stats().disk_bytes, before - 4 * 4096);
  for (int i = 0; i < 100; ++i) bed.tier->maintain();
  EXPECT_GE(free_bytes(), before / 20);
  EXPECT_GT(bed.tier->stats().items, 800U);
  fill(2000, 2500);
  EXPECT_EQ(bed.tier->stats().rejected + bed.tier->stats().errors, 0U);
}

// The capacity is more than the disk has, or there is none and others were faster.
TEST_P(FullDisk, WithoutAnyRoomTheOldestFilesGiveWay) {
  for (const std::uint64_t capacity : {0U, 4U << 20}) {
    bed.options.capacity.bytes = capacity;
    bed.files.set_contents({});
    bed.files.set_disk_bytes(0);
    bed.open();
    fill(0, 300);
    put(*bed.tier, "pinned", "stays");
    ASSERT_TRUE(bed.tier->pin(Key("pinned"), 0));
    bed.files.fill_disk(0);
    fill(300, 800);
    EXPECT_EQ(get(*bed.tier, "key 0"), "(miss)");
    EXPECT_EQ(get(*bed.tier, "pinned"), "stays");
    EXPECT_GT(bed.tier->stats().items, 100U);
    EXPECT_TRUE(bed.tier->stats().available);
  }
}

TEST_P(FullDisk, AWriteThatFindsNoRoomIsDoneAgainAfterTheOldestFile) {
  bed.open();
  fill(0, 100);
  bool is_full = true;
  bed.files.set_faults([&](MemoryFiles::Call call) {
    if (call == MemoryFiles::Call::remove) is_full = false;
    const bool fails = is_full && call == MemoryFiles::Call::extend;
    return fails ? MemoryFiles::Fault::full : MemoryFiles::Fault::none;
  });
  fill(100, 101);
  bed.files.set_faults(nullptr);
  EXPECT_EQ(get(*bed.tier, "key 0"), "(miss)");
  EXPECT_EQ(get(*bed.tier, "key 99"), long_value(99));
  EXPECT_TRUE(bed.tier->stats().available);
}

}  // namespace
}  // namespace varve::cache
