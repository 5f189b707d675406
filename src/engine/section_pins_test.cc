#include "engine/section_pins.h"

#include <gmock/gmock.h>

#include "engine/section_cache_test.h"
#include "varve/cache/memory.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(SectionPins, PinnedIndexesStayInMemoryAndOnDisk) {
  const auto store = imported(Metric::euclidean);
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  {
    CachedProcess first(store, options);
    EXPECT_GT(first.index()->pin({})->bytes, 0U);
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

TEST(SectionPins, PinningMoreThanHalfOfMemoryIsRefusedAsAWhole) {
  CacheOptions options;
  options.ram_bytes_max = 300'000;
  CachedProcess process(imported(Metric::euclidean), options);
  const auto pinned = process.index()->pin({});
  ASSERT_FALSE(pinned);
  EXPECT_EQ(pinned.error().kind, ErrorKind::overloaded);
  EXPECT_THAT(pinned.error().message, HasSubstr("half of the memory tier"));
  EXPECT_EQ((*process.database().cache_status(false)).tiers[0].pinned_items, 0U);
}

TEST(SectionPins, WhatIsReplacedLeavesTheTiersAndWhatIsNewIsPinned) {
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  const auto background = base::make_thread_pool(1);
  CachedProcess process(imported(Metric::euclidean), options, 1, background.get());
  const auto index = process.index();
  ASSERT_TRUE(index->pin({}));
  put_and_fold(*index, "a", 0.1F);
  put_and_fold(*index, "a", 0.2F);
  ASSERT_TRUE(index->compact({}));
  ASSERT_TRUE(index->info());  // sees the new version
  index->close();              // waits for what that began
  const auto live = process.live_sections();
  for (std::size_t tier = 0; tier < 2; ++tier) {
    EXPECT_EQ(sections_in(process.layers().tier(tier), true), live) << tier;
    EXPECT_EQ(sections_in(process.layers().tier(tier), false), live) << tier;
  }
}

TEST(SectionPins, EvictionCountsAllTiersAndForgetsThePin) {
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  CachedProcess process(imported(Metric::euclidean), options);
  const auto index = process.index();
  ASSERT_TRUE(index->pin({}));
  const auto before = *process.database().cache_status(true);
  EXPECT_THAT(read_pins(folder.path(), 0), SizeIs(1));
  ASSERT_THAT(before.indexes[0].bytes, SizeIs(2));
  EXPECT_EQ(*index->evict(), before.indexes[0].bytes[0] + before.indexes[0].bytes[1]);
  const CacheStatus after = *process.database().cache_status(false);
  for (const auto& tier : after.tiers) {
    EXPECT_EQ(tier.items, 0U) << tier.name;
    EXPECT_EQ(tier.pinned_items, 0U) << tier.name;
  }
  EXPECT_THAT(read_pins(folder.path(), 0), IsEmpty());
}

TEST(SectionPins, APinThatFailsLeavesWhatWasPinnedBefore) {
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  CachedProcess process(imported(Metric::euclidean), options);
  const auto index = process.index();
  const auto pinned_items = [&] {
    return process.database().cache_status(false)->tiers[0].pinned_items;
  };
  const std::string in_the_way = folder.path() + "/pinned-indexes.new";
  std::filesystem::create_directory(in_the_way);
  const auto refused = index->pin({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(pinned_items(), 0U);
  std::filesystem::remove(in_the_way);
  ASSERT_TRUE(index->pin({}));
  const auto before = pinned_items();
  std::filesystem::create_directory(in_the_way);
  EXPECT_FALSE(index->pin({.ttl = std::chrono::seconds(5)}));
  test_clock().advance(std::chrono::seconds(6));
  EXPECT_EQ(pinned_items(), before);
}

TEST(SectionPins, PinningWritesToDiskWhatIsInMemoryOnly) {
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  CachedProcess process(imported(Metric::euclidean), options);
  ASSERT_TRUE(process.index()->warm({}));
  cache::Tier& disk = process.layers().tier(1);
  for (const std::string& name : sections_in(disk, false)) disk.remove(cache::Key(name));
  const auto pinned = process.index()->pin({});
  ASSERT_TRUE(pinned);
  EXPECT_EQ(pinned->sections_not_on_disk, 0U);
  EXPECT_EQ(sections_in(disk, true), process.live_sections());
}

TEST(SectionPins, WhatTheDiskCannotPinIsCounted) {
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  options.disk_bytes_max = 200'000;
  CachedProcess process(imported(Metric::euclidean), options);
  const auto pinned = process.index()->pin({});
  ASSERT_TRUE(pinned);
  EXPECT_EQ(pinned->sections_not_on_disk + sections_in(process.layers().tier(1), true).size(),
            process.live_sections().size());
  EXPECT_GT(pinned->sections_not_on_disk, 0U);
}

TEST(SectionPins, ASectionThatIsTooLargeIsNamedAsTheCause) {
  CacheOptions options;
  options.ram_bytes_max = 5'000;
  CachedProcess process(imported(Metric::euclidean), options);
  const auto pinned = process.index()->pin({});
  ASSERT_FALSE(pinned);
  EXPECT_THAT(pinned.error().message, HasSubstr("does not fit"));
}

TEST(SectionPins, TimesOfPinsAreChecked) {
  CachedProcess process(imported(Metric::euclidean), {});
  const auto index = process.index();
  const auto refused = index->pin({.ttl = std::chrono::seconds(-1)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  ASSERT_TRUE(index->pin({.ttl = std::chrono::seconds::max()}));
  EXPECT_GT(process.database().cache_status(false)->tiers[0].pinned_items, 0U);
}

// A disk tier that learns only when told what an earlier process left: entries in memory.
class LateTier final : public cache::Tier {
 public:
  LateTier() : tier_(cache::make_memory_tier({}, *cache::make_policy("fifo", 1))) {}
  std::atomic<bool> is_known{false};
  std::atomic<unsigned> waits{0};

  std::string_view name() const override { return "disk"; }
  cache::Handle get(const cache::Key& key) override {
    return is_known ? tier_->get(key) : cache::Handle();
  }
  bool put(const cache::Key& key, const cache::Handle& value,
           const cache::PutOptions& options) override {
    return tier_->put(key, value, options);
  }
  bool remove(const cache::Key& key) override { return tier_->remove(key); }
  bool may_contain(const cache::Key& key) const override { return tier_->may_contain(key); }
  bool pin(const cache::Key& key, std::int64_t until_ms) override {
    return tier_->pin(key, until_ms);
  }
  bool unpin(const cache::Key& key) override { return tier_->unpin(key); }
  void each(const Visit& take) const override {
    if (is_known) tier_->each(take);
  }
  void set_capacity(const cache::Capacity& capacity) override { tier_->set_capacity(capacity); }
  cache::Capacity capacity() const override { return tier_->capacity(); }
  cache::TierStats stats() const override { return tier_->stats(); }
  void maintain() override { tier_->maintain(); }
  bool wait_until_known(std::chrono::milliseconds at_most) override {
    ++waits;
    // Who is patient waits until the end.
    if (at_most >= std::chrono::seconds(1)) is_known = true;
    return is_known;
  }
  bool is_persistent() const override { return true; }
  void set_owner(cache::TierOwner*) override {}

 private:
  const std::unique_ptr<cache::Tier> tier_;
};

// A cache of one late tier that has one section of `index`.
struct LateCache {
  LateCache() {
    auto late = std::make_unique<LateTier>();
    tier = late.get();
    const std::string key = section_key_prefix(index) + "a section";
    const auto value = cache::Handle::copy_of(std::as_bytes(std::span("value")));
    tier->put(cache::Key(key), value, {});
    std::vector<std::unique_ptr<cache::Tier>> tiers;
    tiers.push_back(std::move(late));
    sections = std::make_unique<SectionCache>(cache::make_layered_cache(std::move(tiers), nullptr),
                                              folder.path());
  }

  Folder folder;
  base::Random random{7};
  const format::Uuid index = format::Uuid::random(random);
  LateTier* tier = nullptr;
  std::unique_ptr<SectionCache> sections;
};

TEST(SectionPins, AreRestoredOnceTheDiskIsKnownAndNobodyWaits) {
  LateCache late;
  ASSERT_TRUE(write_pins(late.folder.path(), {{late.index.hex(), 0}}));
  auto pool = base::make_thread_pool(1);
  late.sections->pins().restore(0, pool.get());
  EXPECT_EQ(late.tier->stats().pinned_items, 0U);
  late.tier->is_known = true;
  pool.reset();  // waits for what was posted
  EXPECT_EQ(late.tier->stats().pinned_items, 1U);
}

TEST(SectionPins, WaitForTheDiskWhereTheyEnd) {
  LateCache late;
  EXPECT_GT(*late.sections->forget(late.index), 0U);
  EXPECT_EQ(late.tier->stats().items, 0U);
}

TEST(SectionPins, StatusDoesNotWaitForTheDisk) {
  LateCache late;
  EXPECT_EQ(status_of(late.sections->layers()).tiers[0].items, 1U);
  EXPECT_EQ(late.tier->waits, 0U);
}

}  // namespace
}  // namespace varve::engine
