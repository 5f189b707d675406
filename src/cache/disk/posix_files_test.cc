// The disk tier on real files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cache/disk/disk_test.h"
#include "cache/disk/layout.h"

namespace varve::cache {
namespace {

using namespace disk_test;
namespace fs = std::filesystem;

class DiskOnFiles : public testing::Test {
 protected:
  DiskOnFiles() {
    std::string name = (fs::temp_directory_path() / "varve-disk-XXXXXX").string();
    root = ::mkdtemp(name.data());
    options.folder = root / "a" / "cache";
    options.segment_bytes = 4096;
    options.background = pool.get();
  }
  ~DiskOnFiles() override {
    tier.reset();
    fs::remove_all(root);
  }
  Tier& open() {
    tier.reset();
    auto opened = open_disk_tier(options, *make_policy("fifo", 1));
    EXPECT_TRUE(opened) << opened.error().message;
    tier = std::move(*opened);
    return *tier;
  }
  std::vector<fs::path> segments() const {
    std::vector<fs::path> found;
    for (const auto& file : fs::directory_iterator(options.folder)) {
      if (segment_number(file.path().filename().string())) found.push_back(file.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  void fill(int entries) {
    for (int i = 0; i < entries; ++i) put(*tier, fmt::format("key {}", i), long_value(i));
  }

  fs::path root;
  DiskOptions options;
  std::unique_ptr<base::Pool> pool = base::make_inline_pool();
  std::unique_ptr<Tier> tier;
};

TEST_F(DiskOnFiles, KeepsEntriesOverRestarts) {
  options.sync_at_seal = true;
  open();
  fill(100);
  EXPECT_GT(segments().size(), 3U);
  open();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get(*tier, fmt::format("key {}", i)), long_value(i));
  EXPECT_EQ(tier->stats().items, 100U);
  EXPECT_EQ(tier->stats().errors, 0U);
}

TEST_F(DiskOnFiles, TruncationUnderARunningTierIsAMiss) {
  open();
  fill(100);
  const Handle held = tier->get(Key("key 0"));
  for (const fs::path& path : segments()) ASSERT_EQ(::truncate(path.c_str(), 100), 0);
  EXPECT_EQ(text_of(held), long_value(0));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get(*tier, fmt::format("key {}", i)), "(miss)");
  fill(100);
  int hits = 0;
  for (int i = 0; i < 100; ++i) hits += get(*tier, fmt::format("key {}", i)) == long_value(i);
  EXPECT_GT(hits, 90);
}

TEST_F(DiskOnFiles, ADeletedFolderIsMadeAgain) {
  open();
  fill(100);
  fs::remove_all(options.folder);
  EXPECT_EQ(get(*tier, "key 5"), long_value(5));
  tier->maintain();
  EXPECT_EQ(tier->stats().disk_bytes, 0U);
  fill(100);
  open();
  EXPECT_EQ(get(*tier, "key 5"), long_value(5));
}

TEST_F(DiskOnFiles, ASecondOpenerIsToldToTakeAnotherFolder) {
  open();
  const auto second = open_disk_tier(options, *make_policy("fifo", 1));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  EXPECT_FALSE(second.error().hint.empty());
  EXPECT_EQ(clear_disk_tier(options.folder).error().kind, ErrorKind::conflict);
}

TEST_F(DiskOnFiles, ClearingDeletesOurFilesOnly) {
  open();
  fill(100);
  tier.reset();
  std::ofstream(options.folder + "/notes.txt") << "mine";
  ASSERT_TRUE(clear_disk_tier(options.folder));
  EXPECT_TRUE(segments().empty());
  EXPECT_TRUE(fs::exists(options.folder + "/notes.txt"));
  EXPECT_EQ(get(open(), "key 1"), "(miss)");
}

TEST_F(DiskOnFiles, LinksAndPipesInTheFolderAreNotFollowed) {
  open();
  fill(20);
  tier.reset();
  const std::string victim = (root / "victim").string();
  std::ofstream(victim) << "precious";
  fs::create_symlink(victim, options.folder + "/00000099.seg");
  ASSERT_EQ(::mkfifo((options.folder + "/00000098.seg").c_str(), 0600), 0);
  open();
  EXPECT_EQ(get(*tier, "key 1"), long_value(1));
  // Numbers go on behind those that are there, so that nothing is written to what is linked.
  fill(2000);
  EXPECT_EQ(fs::file_size(victim), 8U);
}

TEST_F(DiskOnFiles, AFolderThatCannotBeIsSaidAtOpen) {
  std::ofstream(root / "file") << "no folder";
  options.folder = root / "file";
  const auto opened = open_disk_tier(options, *make_policy("fifo", 1));
  ASSERT_FALSE(opened);
  EXPECT_FALSE(opened.error().message.empty());
}

TEST_F(DiskOnFiles, ManyThreadsSeeTheirOwnWrites) {
  options.capacity.bytes = 512 << 10;
  open();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      base::Random random(static_cast<std::uint64_t>(thread));
      for (int i = 0; i < 2000; ++i) {
        const std::string key = fmt::format("{} {}", thread, random.below(50));
        const std::string value = long_value(i);
        if (random.below(5) == 0) {
          tier->remove(Key(key));
          ASSERT_EQ(get(*tier, key), "(miss)");
        } else {
          put(*tier, key, value);
          const std::string got = get(*tier, key);
          ASSERT_TRUE(got == value || got == "(miss)");
        }
        // Those of others are whole, whatever their version.
        const std::string other = get(*tier, fmt::format("{} {}", (thread + 1) % 4, i % 50));
        ASSERT_TRUE(other == "(miss)" || other.starts_with("value ")) << other;
        if (i % 500 == 0) tier->maintain();
        if (i % 100 == 0) tier->stats();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tier->stats().errors + tier->stats().corrupt, 0U);
}

}  // namespace
}  // namespace varve::cache
