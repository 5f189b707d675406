#include "engine/section_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/section_layers.h"
#include "engine/test_env.h"

namespace varve::engine {
namespace {

constexpr std::uint32_t kDim = 16;
constexpr std::size_t kRows = 6'000;  // enough for several clusters

const IndexName kName{"test", "cached"};

class Rows final : public RowSource {
 public:
  std::uint64_t size_hint() const override { return kRows; }
  Result<bool> next(VectorRecord& record) override {
    if (next_ == kRows) return false;
    record.key.clear();
    record.vector = row(next_);
    record.metadata = fmt::format(R"({{"row": {}}})", next_++);
    return true;
  }
  static std::vector<float> row(std::size_t number) {
    base::Random random(number + 1);
    std::vector<float> values(kDim);
    for (float& value : values) value = static_cast<float>(random.unit() - 0.5);
    return values;
  }

 private:
  std::size_t next_ = 0;
};

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "varve-cache-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A process with a cache of its own over a store that others share.
class CachedProcess {
 public:
  CachedProcess(std::shared_ptr<store::ObjectStore> store, const CacheOptions& options)
      : process_(std::move(store), 1, [&](Env& env) {
          auto made = make_section_cache(options, *env.clock, nullptr);
          EXPECT_TRUE(made) << (made ? "" : made.error().message);
          env.sections = made ? *made : nullptr;
        }) {}
  Database& database() { return process_.database(); }
  std::shared_ptr<Index> index() { return *database().open_index(kName); }
  cache::LayeredCache& layers() { return process_.env().sections->layers(); }

 private:
  Process process_;
};

std::shared_ptr<store::ObjectStore> imported(Metric metric) {
  auto store = store::make_memory_store(test_clock());
  CachedProcess writer(store, {});
  auto index = writer.database().create_index(kName, {kDim, metric}, false);
  EXPECT_TRUE(index) << (index ? "" : index.error().message);
  if (!index) std::abort();
  Rows rows;
  EXPECT_TRUE((*index)->import(rows, {}));
  return store;
}

std::string answers(Index& index, std::uint32_t queries) {
  std::string text;
  for (std::uint32_t i = 0; i < queries; ++i) {
    QueryOptions options;
    options.k = 5;
    options.exact = i % 7 == 0;
    const auto result = index.query(Rows::row(100'000 + i % 40), options);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    if (!result) return "failed";
    for (const Hit& hit : result->hits) {
      text += fmt::format("{} {:a} {}\n", hit.key, hit.distance, hit.metadata);
    }
  }
  return text;
}

std::uint64_t store_reads(Index& index) {
  const auto result = index.query(Rows::row(100'000), {});
  EXPECT_TRUE(result);
  return result->performance.tier_reads.back().reads;
}

class EveryMetric : public testing::TestWithParam<Metric> {};
INSTANTIATE_TEST_SUITE_P(Metrics, EveryMetric, testing::Values(Metric::euclidean, Metric::cosine));

TEST_P(EveryMetric, AnswersAreThoseWithoutACache) {
  const auto store = imported(GetParam());
  CacheOptions none;
  none.ram_bytes_max = 1;
  CachedProcess without(store, none);
  const std::string expected = answers(*without.index(), 80);
  Folder folder;
  for (const std::uint64_t ram : {20'000ULL, 100'000ULL, 10'000'000ULL}) {
    CacheOptions small;
    small.ram_bytes_max = ram;
    small.compressed_bytes_max = ram;
    small.disk_dir = folder.path();
    CachedProcess with(store, small);
    EXPECT_EQ(answers(*with.index(), 80), expected) << ram;
  }
}

TEST(SectionCache, ARestartedProcessIsWarmFromDisk) {
  const auto store = imported(Metric::euclidean);
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  {
    CachedProcess first(store, options);
    EXPECT_GT(*first.index()->warm({}), kRows * kDim * sizeof(float));
  }
  CachedProcess second(store, options);
  second.layers().settle();
  EXPECT_EQ(store_reads(*second.index()), 0U);
}

TEST(SectionCache, DamagedBytesOnDiskAreReadFromTheStoreAgain) {
  const auto store = imported(Metric::euclidean);
  Folder folder;
  CacheOptions options;
  options.ram_bytes_max = 1;
  options.disk_dir = folder.path();
  std::string expected;
  {
    CachedProcess first(store, options);
    ASSERT_TRUE(first.index()->warm({}));
    expected = answers(*first.index(), 20);
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (!entry.is_regular_file()) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    for (std::uintmax_t at = 5'000; at + 1 < entry.file_size(); at += 7'001) {
      file.seekp(static_cast<std::streamoff>(at));
      file.put('\x5a');
    }
  }
  CachedProcess second(store, options);
  second.layers().settle();
  EXPECT_EQ(answers(*second.index(), 20), expected);
}

TEST(SectionCache, PinnedIndexesStayInMemoryAndOnDisk) {
  const auto store = imported(Metric::euclidean);
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  {
    CachedProcess first(store, options);
    EXPECT_GT(*first.index()->pin(std::chrono::seconds(0), {}), 0U);
    const auto status = *first.database().cache_status(true);
    EXPECT_GT(status.tiers[0].pinned_items, 0U);
    EXPECT_EQ(status.tiers[1].pinned_items, status.tiers[0].pinned_items);
    ASSERT_EQ(status.indexes.size(), 1U);
    EXPECT_GT(status.indexes[0].bytes[1], 0U);
  }
  CachedProcess second(store, options);
  EXPECT_GT((*second.database().cache_status(false)).tiers[1].pinned_items, 0U);
  EXPECT_GT(*second.index()->unpin(), 0U);
  EXPECT_EQ((*second.database().cache_status(false)).tiers[1].pinned_items, 0U);
}

TEST(SectionCache, PinningMoreThanHalfOfMemoryIsRefusedAsAWhole) {
  CacheOptions options;
  options.ram_bytes_max = 300'000;
  CachedProcess process(imported(Metric::euclidean), options);
  const auto pinned = process.index()->pin(std::chrono::seconds(0), {});
  ASSERT_FALSE(pinned);
  EXPECT_EQ(pinned.error().kind, ErrorKind::overloaded);
  EXPECT_EQ((*process.database().cache_status(false)).tiers[0].pinned_items, 0U);
}

TEST(SectionCache, ADroppedIndexLeavesAllTiers) {
  const auto store = imported(Metric::euclidean);
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  CachedProcess process(store, options);
  ASSERT_TRUE(process.index()->warm({}));
  EXPECT_GT((*process.database().cache_status(false)).tiers[1].items, 0U);
  ASSERT_TRUE(process.database().drop_index(kName));
  const CacheStatus status = *process.database().cache_status(false);
  for (const auto& tier : status.tiers) {
    EXPECT_EQ(tier.items, 0U) << tier.name;
  }
}

TEST(SectionCache, OptionsThatCannotBeAreNamed) {
  CacheOptions options;
  options.policy = "mru";
  const auto made = make_section_cache(options, test_clock(), nullptr);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::invalid);
  EXPECT_NE(made.error().message.find("cache.policy"), std::string::npos);
}

}  // namespace
}  // namespace varve::engine
