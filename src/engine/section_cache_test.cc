#include "engine/section_cache.h"

#include <gmock/gmock.h>

#include <fstream>

#include "engine/catalog.h"
#include "engine/names.h"
#include "engine/section_cache_test.h"
#include "store/open.h"

namespace varve::engine {
namespace {

using ::testing::SizeIs;

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

TEST(SectionCache, CopiesOfAStoreThatWentSeparateWaysShareAFolder) {
  Folder stores, folder;
  const std::string first_path = stores.path() + "/1", second_path = stores.path() + "/2";
  const store::OpenOptions with_clock{.clock = &test_clock()};
  imported(Metric::euclidean, *store::open_store(first_path, with_clock));
  std::filesystem::copy(first_path, second_path, std::filesystem::copy_options::recursive);
  const std::shared_ptr<store::ObjectStore> first = *store::open_store(first_path, with_clock),
                                            second = *store::open_store(second_path, with_clock);
  CacheOptions none;
  none.ram_bytes_max = 1;
  std::string expected;
  {
    CachedProcess one(first, none, 2), two(second, none, 3);
    put_and_fold(*one.index(), "a", 0.1F);
    put_and_fold(*two.index(), "b", -0.1F);
    expected = answers(*two.index(), 40);
  }
  CacheOptions shared;
  shared.disk_dir = folder.path();
  { ASSERT_TRUE(CachedProcess(first, shared, 4).index()->warm({})); }
  CachedProcess process(second, shared, 5);
  EXPECT_EQ(answers(*process.index(), 40), expected);
  put_and_fold(*process.index(), "b", 0.2F);
  EXPECT_EQ(process.index()->info()->vectors, kRows + 50);
  EXPECT_TRUE(process.index()->fsck({})->findings.empty());
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

TEST(SectionCache, WarmingReadsNoMoreAtOnceThanAShareOfMemory) {
  const auto store = std::make_shared<HookStore>(imported(Metric::euclidean));
  CacheOptions options;
  options.ram_bytes_max = 100'000;
  CachedProcess process(store, options);
  const auto index = process.index();
  std::size_t reads = 0;
  store->before = [&](std::string_view method, std::string_view) { reads += method == "read"; };
  ASSERT_TRUE(index->warm({}));
  // Three kinds of section; the share is a quarter, of which rows are a part.
  EXPECT_GE(reads, 3 * kRows * kDim * sizeof(float) / (options.ram_bytes_max / 4));
}

TEST(SectionCache, StatusLeavesOutAnIndexThatCannotBeFound) {
  const auto hooked = std::make_shared<HookStore>(imported(Metric::euclidean));
  CachedProcess process(hooked, {});
  ASSERT_TRUE(process.index()->warm({}));
  const IndexName other{"another", "index"};
  ASSERT_TRUE(process.database().create_index(other, {kDim, Metric::euclidean}, false));
  const auto catalog = catalog_name(other.bucket);
  int gets = 0;
  hooked->before = [&](std::string_view method, std::string_view key) {
    // Once to list what there is; later it is damaged.
    if (method != "get" || key != catalog || ++gets != 2) return;
    const std::vector<std::string> keys{catalog};
    const std::vector<std::byte> garbage(100);
    ASSERT_TRUE(hooked->remove(keys, base::Deadline::never()));
    ASSERT_TRUE(hooked->create(catalog, garbage, base::Deadline::never()));
  };
  const auto status = process.database().cache_status(true);
  ASSERT_TRUE(status);
  ASSERT_THAT(status->indexes, SizeIs(1));
  EXPECT_EQ(status->indexes[0].name.str(), kName.str());
  EXPECT_GT(status->indexes[0].bytes[0], 0U);
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
