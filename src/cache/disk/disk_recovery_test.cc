#include <cstring>
#include <thread>

#include "cache/disk/disk_test.h"
#include "cache/disk/layout.h"
#include "codec/checksum.h"

namespace varve::cache {
namespace {

using namespace disk_test;

// A tier with "old" in a sealed segment and `keys` in the one that is not.
std::map<std::string, std::string> unsealed_folder(int keys) {
  Bed bed;
  put(bed.open(), "old", "sealed");
  Tier& tier = bed.open();
  for (int i = 0; i < keys; ++i) put(tier, fmt::format("key {}", i), long_value(i, 50));
  return bed.files.contents();
}

std::string newest_of(std::map<std::string, std::string> folder) {
  std::erase_if(folder, [](const auto& file) { return !file.first.ends_with(".seg"); });
  return folder.rbegin()->first;
}

TEST(DiskRecovery, CutAnywhereInItsLastRecordTheUnsealedSegmentLosesThatOneOnly) {
  const auto folder = unsealed_folder(10);
  const std::string newest = newest_of(folder);
  const std::size_t whole = folder.at(newest).size();
  const std::size_t last = (kRecordHeaderBytes + 5 + 50 + 15) / 16 * 16;
  for (std::size_t size = whole - last; size < whole; ++size) {
    Bed bed;
    auto cut = folder;
    cut[newest].resize(size);
    bed.files.set_contents(cut);
    Tier& tier = bed.open();
    // The padding at the end is nobody's.
    const bool keeps_last = size >= whole - last + kRecordHeaderBytes + 5 + 50;
    for (int i = 0; i < 9; ++i) ASSERT_EQ(get(tier, fmt::format("key {}", i)), long_value(i, 50));
    const std::string at_end = get(tier, "key 9");
    if (size < whole - last + kRecordHeaderBytes + 5 + 50) {
      ASSERT_EQ(at_end, "(miss)") << size;
    } else {
      ASSERT_TRUE(at_end == "(miss)" || (keeps_last && at_end == long_value(9, 50))) << size;
    }
    ASSERT_EQ(get(tier, "old"), "sealed");
    ASSERT_TRUE(put(tier, "key 9", "new"));
    ASSERT_EQ(get(bed.reopen_after_kill(), "key 9"), "new");
  }
}

TEST(DiskRecovery, CutAtEachRecordItKeepsWhatIsInFront) {
  const auto folder = unsealed_folder(20);
  const std::string newest = newest_of(folder);
  std::size_t size = kSegmentHeaderBytes;
  for (int kept = 0; kept <= 20; ++kept) {
    Bed bed;
    auto cut = folder;
    cut[newest].resize(size);
    bed.files.set_contents(cut);
    Tier& tier = bed.open();
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(get(tier, fmt::format("key {}", i)), i < kept ? long_value(i, 50) : "(miss)");
    }
    ASSERT_EQ(tier.stats().items, 1U + static_cast<unsigned>(kept));
    size += (kRecordHeaderBytes + fmt::format("key {}", kept).size() + 50 + 15) / 16 * 16;
  }
}

TEST(DiskRecovery, CutAnywhereInItsHeaderOrFooterASegmentIsScannedOrGone) {
  Bed first;
  for (int i = 0; i < 10; ++i) put(i == 0 ? first.open() : *first.tier, fmt::format("{}", i), "v");
  first.tier.reset();
  const auto folder = first.files.contents();
  const std::string name = folder.begin()->first;
  for (std::size_t size = 0; size < folder.at(name).size(); ++size) {
    Bed bed;
    auto cut = folder;
    cut[name].resize(size);
    bed.files.set_contents(cut);
    Tier& tier = bed.open();
    const std::size_t data = kSegmentHeaderBytes + 10 * 64;
    const std::size_t want =
        size < kSegmentHeaderBytes ? 0 : (std::min(size, data) - kSegmentHeaderBytes) / 64;
    ASSERT_EQ(tier.stats().items, want) << size;
    ASSERT_TRUE(put(tier, "new", "v"));
  }
}

TEST(DiskRecovery, OpenReturnsAtOnceAndWritesMeanwhileCount) {
  Bed bed;
  Tier* tier = &bed.open();
  for (int i = 0; i < 100; ++i) put(*tier, fmt::format("key {}", i), long_value(i));
  bed.options.background = &bed.held_pool;
  tier = &bed.open();
  EXPECT_EQ(get(*tier, "key 1"), "(miss)");
  EXPECT_TRUE(tier->may_contain(Key("key 1")));
  EXPECT_TRUE(put(*tier, "key 1", "new"));
  EXPECT_EQ(get(*tier, "key 1"), "new");
  EXPECT_FALSE(tier->remove(Key("key 2")));
  EXPECT_FALSE(tier->may_contain(Key("key 2")));
  EXPECT_TRUE(put(*tier, "key 3", "newer"));
  EXPECT_TRUE(tier->remove(Key("key 3")));
  const auto check = [&] {
    EXPECT_EQ(get(*tier, "key 1"), "new");
    EXPECT_EQ(get(*tier, "key 2"), "(miss)");
    EXPECT_EQ(get(*tier, "key 3"), "(miss)");
    EXPECT_EQ(get(*tier, "key 4"), long_value(4));
    EXPECT_EQ(tier->stats().items, 98U);
  };
  // A kill before anything was read.
  const auto killed = bed.files.contents();
  bed.held_pool.run();
  check();
  bed.tier.reset();
  bed.files.set_contents(killed);
  bed.options.background = bed.inline_pool.get();
  tier = &bed.open();
  check();
}

TEST(DiskRecovery, ARemovalBeforeTheFilesAreReadHoldsOnAFullTierToo) {
  Bed bed;
  bed.options.capacity.bytes = 40 << 10;
  Tier& tier = bed.open();
  for (int i = 0; i < 1000; ++i) put(tier, fmt::format("key {}", i), long_value(i));
  ASSERT_EQ(get(tier, "key 999"), long_value(999));
  bed.options.background = &bed.held_pool;
  bed.open();
  // No room for a value, since nothing can be given up yet.
  for (int i = 0; i < 200; ++i) put(*bed.tier, fmt::format("new {}", i), long_value(i));
  EXPECT_GT(bed.tier->stats().rejected, 0U);
  bed.tier->remove(Key("key 999"));
  bed.options.background = bed.inline_pool.get();
  EXPECT_EQ(get(bed.reopen_after_kill(), "key 999"), "(miss)");
  EXPECT_EQ(get(*bed.tier, "key 998"), long_value(998));
  EXPECT_LE(bed.tier->stats().disk_bytes, bed.options.capacity.bytes);
}

TEST(DiskRecovery, ATierMayGoBeforeItsFilesAreRead) {
  Bed bed;
  put(bed.open(), "k", "v");
  bed.options.background = &bed.held_pool;
  bed.open();
  bed.tier.reset();
  bed.held_pool.run();
  bed.options.background = nullptr;
  bed.open();
  bed.tier.reset();
  bed.options.background = bed.inline_pool.get();
  EXPECT_EQ(get(bed.open(), "k"), "v");
}

TEST(DiskRecovery, AThreadOfItsOwnReadsTheFilesWhileOthersUseTheTier) {
  Bed bed;
  for (int i = 0; i < 2000; ++i) put(i == 0 ? bed.open() : *bed.tier, fmt::format("{}", i), "old");
  bed.options.background = nullptr;
  Tier& tier = bed.open();
  std::thread writer([&] {
    for (int i = 0; i < 1000; ++i) put(tier, fmt::format("{}", i), "new");
  });
  std::thread remover([&] {
    for (int i = 1000; i < 1500; ++i) tier.remove(Key(fmt::format("{}", i)));
  });
  for (int i = 1500; i < 2000; ++i) {
    const std::string got = get(tier, fmt::format("{}", i));
    ASSERT_TRUE(got == "old" || got == "(miss)") << got;
  }
  writer.join();
  remover.join();
  bed.options.background = bed.inline_pool.get();
  bed.open();
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(get(*bed.tier, fmt::format("{}", i)), i < 1000 ? "new" : i < 1500 ? "(miss)" : "old");
  }
}

std::string of_another_version(std::string segment) {
  segment[8] = 9;
  const auto crc = codec::crc32c(base::as_bytes(segment).subspan(8, 56));
  std::memcpy(segment.data() + 4, &crc, sizeof(crc));
  return segment;
}

TEST(DiskRecovery, LeavesSegmentsOfOtherVersionsAlone) {
  Bed bed;
  put(bed.open(), "k", "v");
  bed.tier.reset();
  const std::string path = bed.path_of_newest();
  bed.files.change(path, [](std::string& bytes) { bytes = of_another_version(bytes); });
  const std::string foreign = bed.files.contents().at(path);
  Tier& tier = bed.open();
  EXPECT_EQ(get(tier, "k"), "(miss)");
  EXPECT_EQ(tier.stats().disk_bytes, 0U);
  EXPECT_TRUE(put(tier, "k", "ours"));
  tier.set_capacity({1, 0});
  EXPECT_EQ(bed.files.contents().at(path), foreign);
}

TEST(DiskRecovery, LeavesFilesOfOthersAloneAndDeletesRenamedSegments) {
  Bed bed;
  put(bed.open(), "k", "v");
  bed.tier.reset();
  auto folder = bed.files.contents();
  folder["f/notes.txt"] = "mine";
  folder["f/0000000A.seg"] = "capital";
  folder["f/00000000.seg"] = "zero";
  folder["f/000000ff.seg"] = folder.at("f/00000001.seg");
  bed.files.set_contents(folder);
  Tier& tier = bed.open();
  EXPECT_EQ(get(tier, "k"), "v");
  EXPECT_EQ(tier.stats().corrupt, 1U);
  const auto left = bed.files.contents();
  EXPECT_TRUE(left.contains("f/notes.txt"));
  EXPECT_TRUE(left.contains("f/0000000A.seg"));
  EXPECT_TRUE(left.contains("f/00000000.seg"));
  EXPECT_FALSE(left.contains("f/000000ff.seg"));
  put(tier, "next", "v");
  EXPECT_TRUE(bed.files.contents().contains("f/00000002.seg"));
}

TEST(DiskRecovery, NumbersThatOthersTookDoNotStopWriting) {
  Bed bed;
  put(bed.open(), "k", "v");
  bed.tier.reset();
  auto folder = bed.files.contents();
  const std::string foreign = of_another_version(folder.at("f/00000001.seg"));
  folder["f/7fffffff.seg"] = foreign;
  folder["f/7ffffffe.seg"] = "damaged";
  for (int i = 2; i < 100; ++i) folder[fmt::format("f/{:08x}.seg", i)] = foreign;
  bed.files.set_contents(folder);
  // Also before the files were read.
  bed.options.background = &bed.held_pool;
  Tier& tier = bed.open();
  EXPECT_TRUE(put(tier, "new", "v"));
  bed.held_pool.run();
  EXPECT_EQ(get(tier, "k"), "v");
  EXPECT_EQ(get(tier, "new"), "v");
  EXPECT_EQ(tier.stats().errors, 0U);
  EXPECT_EQ(bed.files.contents().at("f/7fffffff.seg"), foreign);
}

// Where nobody could see whose they are, new ones stand above them.
TEST(DiskRecovery, AValueStaysNewerThanThatOfAFileWhichCouldNotBeRead) {
  Bed bed;
  put(bed.open(), "k", "old");
  bed.tier.reset();
  bed.files.set_faults([](MemoryFiles::Call call) {
    return call == MemoryFiles::Call::open ? MemoryFiles::Fault::fails : MemoryFiles::Fault::none;
  });
  put(bed.open(), "k", "new");
  bed.files.set_faults(nullptr);
  EXPECT_EQ(get(bed.open(), "k"), "new");
}

TEST(DiskRecovery, WhatIsRemovedBeforeItsFileIsReadStaysAway) {
  Bed bed;
  Tier* tier = &bed.open();
  for (int i = 0; i < 100; ++i) put(*tier, fmt::format("key {}", i), long_value(i));
  bed.options.background = &bed.held_pool;
  tier = &bed.open();
  tier->remove(Key("key 0"));
  bed.held_pool.run();
  EXPECT_EQ(get(*tier, "key 0"), "(miss)");
  EXPECT_EQ(get(*tier, "key 1"), long_value(1));
  bed.options.background = bed.inline_pool.get();
  // The record itself is void by now: the note of the removal may go.
  bed.tier.reset();
  bed.files.unlink(bed.path_of_newest());
  EXPECT_EQ(get(bed.open(), "key 0"), "(miss)");
  EXPECT_EQ(get(*bed.tier, "key 1"), long_value(1));
  EXPECT_EQ(get(bed.reopen_after_kill(), "key 0"), "(miss)");
}

TEST(DiskRecovery, WhatWasRemovedStaysAwayWhicheverFileIsLost) {
  Bed first;
  Tier& tier = first.open();
  for (int i = 0; i < 60; ++i) put(tier, fmt::format("key {}", i), long_value(i));
  for (int i = 0; i < 60; i += 2) put(tier, fmt::format("key {}", i), "second");
  for (int i = 0; i < 60; i += 4) tier.remove(Key(fmt::format("key {}", i)));
  first.tier.reset();
  const auto folder = first.files.contents();
  ASSERT_GT(folder.size(), 5U);
  for (const auto& [path, bytes] : first.segments()) {
    Bed bed;
    auto rest = folder;
    rest.erase(path);
    bed.files.set_contents(rest);
    bed.open();
    for (int i = 0; i < 60; ++i) {
      const std::string got = get(*bed.tier, fmt::format("key {}", i));
      if (got == "(miss)") continue;
      ASSERT_NE(i % 4, 0) << path;
      ASSERT_EQ(got, i % 2 == 0 ? "second" : long_value(i)) << path;
    }
  }
}

TEST(DiskRecovery, ExpiredEntriesAreNotTakenOver) {
  Bed bed;
  Tier& tier = bed.open();
  put(tier, "a", "1", bed.clock.wall_ms() + 100);
  put(tier, "b", "2");
  bed.clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(bed.open().stats().items, 1U);
}

TEST(DiskRecovery, ASmallerCapacityThanBeforeIsKept) {
  for (const std::string_view policy : policy_names()) {
    Bed bed;
    bed.policy = policy;
    for (int i = 0; i < 1000; ++i) put(i == 0 ? bed.open() : *bed.tier, fmt::format("{}", i), "v");
    bed.options.capacity.bytes = 40 << 10;
    Tier& tier = bed.open();
    EXPECT_LE(tier.stats().disk_bytes, bed.options.capacity.bytes);
    EXPECT_GT(tier.stats().items, 50U);
    EXPECT_EQ(get(tier, "999"), "v") << policy;
  }
}

}  // namespace
}  // namespace varve::cache
