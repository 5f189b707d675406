#include <map>
#include <set>

#include "cache/disk/disk_test.h"

namespace varve::cache {
namespace {

using namespace disk_test;

class EveryDiskPolicy : public testing::TestWithParam<std::string_view> {
 protected:
  EveryDiskPolicy() { bed.policy = GetParam(); }
  Bed bed;
};
INSTANTIATE_TEST_SUITE_P(Names, EveryDiskPolicy, testing::ValuesIn(policy_names()),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(EveryDiskPolicy, ReturnsWhatWasPutWithItsEncoding) {
  Tier& tier = bed.open();
  Handle value = value_of("packed");
  value.set_encoding(3, 4711);
  ASSERT_TRUE(tier.put(Key("k"), value, {.expires_ms = bed.clock.wall_ms() + 5000}));
  const Handle got = tier.get(Key("k"));
  EXPECT_EQ(text_of(got), "packed");
  EXPECT_EQ(got.method(), 3);
  EXPECT_EQ(got.raw_bytes(), 4711U);
  EXPECT_EQ(got.expires_ms(), bed.clock.wall_ms() + 5000);
  EXPECT_EQ(get(tier, "other"), "(miss)");
  EXPECT_TRUE(tier.may_contain(Key("k")));
  EXPECT_FALSE(tier.may_contain(Key("other")));
  EXPECT_TRUE(tier.is_persistent());
}

TEST_P(EveryDiskPolicy, KeepsTheNewestValueAndForgetsWhatIsRemoved) {
  Tier& tier = bed.open();
  EXPECT_TRUE(put(tier, "a", "1"));
  EXPECT_TRUE(put(tier, "a", "2"));
  EXPECT_TRUE(put(tier, "empty", ""));
  EXPECT_EQ(get(tier, "a"), "2");
  EXPECT_EQ(get(tier, "empty"), "");
  EXPECT_TRUE(tier.remove(Key("a")));
  EXPECT_FALSE(tier.remove(Key("a")));
  EXPECT_EQ(get(tier, "a"), "(miss)");
  const TierStats stats = tier.stats();
  EXPECT_EQ(stats.items, 1U);
  EXPECT_EQ(stats.replaced, 1U);
  EXPECT_EQ(stats.removed, 1U);
  EXPECT_EQ(stats.insertions, 3U);
  EXPECT_EQ(stats.errors + stats.corrupt, 0U);
}

TEST_P(EveryDiskPolicy, StaysWithinItsCapacityAndTellsOnceOfEachThatLeaves) {
  bed.options.capacity.bytes = 64 << 10;
  std::map<std::string, int> told;
  bed.options.on_removal = [&](const Removal& removal) {
    EXPECT_EQ(removal.cause, Cause::evicted);
    ++told[std::string(removal.key)];
  };
  Tier& tier = bed.open();
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(put(tier, fmt::format("key {}", i), long_value(i))) << i;
    ASSERT_LE(tier.stats().disk_bytes, bed.options.capacity.bytes) << i;
  }
  std::size_t held = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = fmt::format("key {}", i);
    const bool has = get(tier, key) == long_value(i);
    held += has;
    EXPECT_EQ(told.contains(key), !has) << key;
    EXPECT_LE(told[key], 1) << key;
  }
  EXPECT_GT(held, 100U);
  const TierStats stats = tier.stats();
  EXPECT_EQ(stats.items, held);
  EXPECT_EQ(stats.evicted, 2000 - held);
  EXPECT_EQ(stats.value_bytes, held * 200);
}

TEST_P(EveryDiskPolicy, KeepsPinnedEntriesWhileOthersComeAndGo) {
  bed.options.capacity.bytes = 64 << 10;
  Tier& tier = bed.open();
  ASSERT_TRUE(put(tier, "for ever", "1"));
  ASSERT_TRUE(put(tier, "a while", "2"));
  EXPECT_TRUE(tier.pin(Key("for ever"), 0));
  EXPECT_TRUE(tier.pin(Key("a while"), bed.clock.wall_ms() + 1000));
  EXPECT_FALSE(tier.pin(Key("nothing"), 0));
  EXPECT_EQ(tier.stats().pinned_items, 2U);
  const auto fill = [&](int from) {
    for (int i = from; i < from + 1000; ++i) put(tier, fmt::format("key {}", i), long_value(i));
  };
  fill(0);
  EXPECT_EQ(get(tier, "for ever"), "1");
  EXPECT_EQ(get(tier, "a while"), "2");
  bed.clock.advance(std::chrono::seconds(2));
  tier.maintain();
  EXPECT_EQ(tier.stats().pinned_items, 1U);
  for (int i = 1; i < 6; ++i) fill(i * 1000);
  EXPECT_EQ(get(tier, "for ever"), "1");
  EXPECT_EQ(get(tier, "a while"), "(miss)");
  EXPECT_TRUE(tier.unpin(Key("for ever")));
  EXPECT_FALSE(tier.unpin(Key("for ever")));
  EXPECT_EQ(tier.stats().pinned_bytes, 0U);
}

TEST_P(EveryDiskPolicy, BoundsTheNumberOfItems) {
  bed.options.capacity.items = 10;
  Tier& tier = bed.open();
  for (int i = 0; i < 100; ++i) {
    put(tier, fmt::format("key {}", i), long_value(i));
    ASSERT_LE(tier.stats().items, 10U);
  }
  EXPECT_EQ(tier.stats().items, 10U);
  tier.set_capacity({0, 3});
  EXPECT_EQ(tier.stats().items, 3U);
}

TEST_P(EveryDiskPolicy, SaysSoWhereTheNewEntryItselfHadToGo) {
  bed.options.capacity.items = 1;
  Tier& tier = bed.open();
  ASSERT_TRUE(put(tier, "pinned", "v"));
  ASSERT_TRUE(tier.pin(Key("pinned"), 0));
  EXPECT_FALSE(put(tier, "new", "v"));
  EXPECT_EQ(get(tier, "new"), "(miss)");
  EXPECT_EQ(tier.stats().evicted, 1U);
  EXPECT_EQ(tier.stats().rejected, 0U);
}

TEST_P(EveryDiskPolicy, PinsThatAreOverMakeRoomForOthers) {
  bed.options.capacity.bytes = 64 << 10;
  Tier& tier = bed.open();
  const std::int64_t soon = bed.clock.wall_ms() + 1000;
  int pinned = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(put(tier, fmt::format("key {}", i), long_value(i, 2000)));
    pinned += tier.pin(Key(fmt::format("key {}", i)), soon);
  }
  EXPECT_GT(pinned, 10);
  EXPECT_LT(pinned, 20);
  EXPECT_FALSE(tier.pin(Key("key 19"), 0));
  bed.clock.advance(std::chrono::seconds(2));
  EXPECT_TRUE(tier.pin(Key("key 19"), 0));
  EXPECT_EQ(tier.stats().pinned_items, 1U);
}

TEST_P(EveryDiskPolicy, ANewerValueIsPinnedAsTheOneBeforeAlsoIfItIsLarger) {
  bed.options.capacity.bytes = 64 << 10;
  Tier& tier = bed.open();
  ASSERT_TRUE(put(tier, "pinned", "v"));
  ASSERT_TRUE(tier.pin(Key("pinned"), 0));
  ASSERT_TRUE(put(tier, "pinned", long_value(1, 3000)));
  EXPECT_EQ(tier.stats().pinned_items, 1U);
  EXPECT_GT(tier.stats().pinned_bytes, 3000U);
  for (int i = 0; i < 2000; ++i) put(tier, fmt::format("key {}", i), long_value(i));
  EXPECT_EQ(get(tier, "pinned"), long_value(1, 3000));
  EXPECT_TRUE(tier.remove(Key("pinned")));
  EXPECT_EQ(tier.stats().pinned_bytes, 0U);
}

TEST_P(EveryDiskPolicy, ShrinksAtRunTime) {
  Tier& tier = bed.open();
  for (int i = 0; i < 1000; ++i) put(tier, fmt::format("key {}", i), long_value(i));
  EXPECT_GT(tier.stats().disk_bytes, 200U << 10);
  tier.set_capacity({64 << 10, 0});
  EXPECT_LE(tier.stats().disk_bytes, 64U << 10);
  EXPECT_GT(tier.stats().items, 50U);
  tier.set_capacity({1, 0});
  EXPECT_EQ(tier.stats().items, 0U);
  EXPECT_EQ(tier.stats().disk_bytes, 0U);
  EXPECT_FALSE(put(tier, "k", "v"));
  tier.set_capacity({});
  EXPECT_TRUE(put(tier, "k", "v"));
}

TEST_P(EveryDiskPolicy, AnswersTheSameAfterACloseAndAfterAKill) {
  bed.options.capacity.bytes = 256 << 10;
  Tier* tier = &bed.open();
  for (int i = 0; i < 500; ++i) put(*tier, fmt::format("key {}", i), long_value(i));
  for (int i = 0; i < 500; i += 3) tier->remove(Key(fmt::format("key {}", i)));
  for (int i = 1; i < 500; i += 3) put(*tier, fmt::format("key {}", i), long_value(i + 1));
  const auto check = [&] {
    for (int i = 0; i < 500; ++i) {
      const std::string want = i % 3 == 0   ? "(miss)"
                               : i % 3 == 1 ? long_value(i + 1)
                                            : long_value(i);
      ASSERT_EQ(get(*tier, fmt::format("key {}", i)), want) << i;
    }
    EXPECT_EQ(tier->stats().items, 333U);
    EXPECT_EQ(tier->stats().value_bytes, 333U * 200);
  };
  check();
  tier = &bed.open();
  check();
  tier = &bed.reopen_after_kill();
  check();
}

TEST(DiskTier, GivesUpTheOldestButKeepsWhatWasHit) {
  Bed bed;
  bed.options.capacity.bytes = 64 << 10;
  Tier& tier = bed.open();
  put(tier, "hit", long_value(1));
  put(tier, "not", long_value(2));
  for (int i = 0; i < 3000; ++i) {
    put(tier, fmt::format("key {}", i), long_value(i));
    if (i % 50 == 0) {
      ASSERT_EQ(get(tier, "hit"), long_value(1)) << i;
    }
  }
  EXPECT_EQ(get(tier, "not"), "(miss)");
}

TEST(DiskTier, ExpiredEntriesAreMissesAndAreToldBeforeTheNextValue) {
  Bed bed;
  std::vector<std::pair<std::string, Cause>> told;
  Tier* tier = nullptr;
  bed.options.on_removal = [&](const Removal& removal) {
    told.emplace_back(removal.key, removal.cause);
    if (removal.key == "b") {
      EXPECT_EQ(get(*tier, "b"), "(miss)");
    }
  };
  tier = &bed.open();
  const std::int64_t soon = bed.clock.wall_ms() + 100;
  for (const char* key : {"a", "b", "c"}) put(*tier, key, "old", soon);
  put(*tier, "later", "x", soon + 1'000'000);
  bed.clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(get(*tier, "a"), "(miss)");
  EXPECT_TRUE(put(*tier, "b", "new"));
  tier->maintain();
  const std::vector<std::pair<std::string, Cause>> want = {
      {"a", Cause::expired}, {"b", Cause::expired}, {"c", Cause::expired}};
  EXPECT_EQ(told, want);
  EXPECT_EQ(get(*tier, "b"), "new");
  EXPECT_EQ(get(*tier, "later"), "x");
  EXPECT_EQ(tier->stats().items, 2U);
}

TEST(DiskTier, RefusesWhatIsTooLargeAndForgetsWhatItHeld) {
  Bed bed;
  Tier& tier = bed.open();
  put(tier, "k", "small");
  EXPECT_FALSE(put(tier, "k", std::string(5000, 'x')));
  EXPECT_EQ(get(tier, "k"), "(miss)");
  EXPECT_FALSE(put(tier, "", "no key"));
  EXPECT_FALSE(put(tier, std::string(kKeyBytesMax + 1, 'k'), "long key"));
  EXPECT_TRUE(put(tier, std::string(kKeyBytesMax, 'k'), "longest key"));
  EXPECT_EQ(tier.stats().rejected, 3U);
  EXPECT_EQ(get(bed.reopen_after_kill(), "k"), "(miss)");
}

TEST(DiskTier, TwoKeysOfOneHashDoNotMix) {
  Bed bed;
  std::vector<std::string> told;
  bed.options.on_removal = [&](const Removal& removal) {
    told.push_back(fmt::format("{} {}", removal.key, to_string(removal.cause)));
  };
  Tier& tier = bed.open();
  const Key one("one", 7), two("two", 7);
  tier.put(one, value_of("1"), {});
  EXPECT_FALSE(tier.get(two));
  EXPECT_FALSE(tier.remove(two));
  EXPECT_FALSE(tier.pin(two, 0));
  EXPECT_EQ(text_of(tier.get(one)), "1");
  tier.put(two, value_of("2"), {});
  EXPECT_FALSE(tier.get(one));
  EXPECT_EQ(text_of(tier.get(two)), "2");
  EXPECT_EQ(told, std::vector<std::string>{"one evicted"});
}

TEST_P(EveryDiskPolicy, WithoutACapacityItGivesBackTheRoomOfWhatIsGone) {
  Tier& tier = bed.open();
  for (int i = 0; i < 3000; ++i) {
    put(tier, fmt::format("key {}", i % 40), long_value(i));
    if (i % 100 == 0) put(tier, fmt::format("stays {}", i), long_value(i));
  }
  EXPECT_LT(tier.stats().disk_bytes, 120U << 10);
  for (int i = 0; i < 3000; i += 100) {
    EXPECT_EQ(get(tier, fmt::format("stays {}", i)), long_value(i));
  }
  EXPECT_EQ(tier.stats().items, 70U);
  EXPECT_EQ(tier.stats().evicted, 0U);
}

TEST(DiskTier, VisitsEachEntryWithItsKey) {
  Bed bed;
  Tier& tier = bed.open();
  for (int i = 0; i < 600; ++i) put(tier, fmt::format("key {}", i), "v");
  tier.pin(Key("key 5"), 0);
  std::set<std::string> seen;
  std::size_t pinned = 0;
  tier.each([&](std::string_view key, std::uint64_t bytes, bool is_pinned) {
    EXPECT_EQ(bytes, 64U);
    pinned += is_pinned;
    return seen.insert(std::string(key)).second;
  });
  EXPECT_EQ(seen.size(), 600U);
  EXPECT_EQ(pinned, 1U);
  int visits = 0;
  tier.each([&](std::string_view, std::uint64_t, bool) { return ++visits < 3; });
  EXPECT_EQ(visits, 3);
}

TEST(DiskTier, TellsItsOwnerWithTheVersionOfTheKey) {
  struct Owner final : TierOwner {
    std::vector<std::string> told;
    std::uint64_t version(std::uint64_t hash) const override { return hash % 1000; }
    void left(const Removal& removal) override {
      EXPECT_EQ(removal.version, hash_of_key(removal.key) % 1000);
      told.push_back(
          fmt::format("{} {} {}", removal.key, to_string(removal.cause), removal.was_hit));
    }
  } owner;
  Bed bed;
  Tier& tier = bed.open();
  tier.set_owner(&owner);
  put(tier, "a", "1");
  get(tier, "a");
  put(tier, "a", "2");
  tier.remove(Key("a"));
  const std::vector<std::string> want = {"a replaced true", "a removed false"};
  EXPECT_EQ(owner.told, want);
}

TEST(DiskTier, KeepsItsIndexSmall) {
  Bed bed;
  bed.options.segment_bytes = 64 << 10;
  Tier& tier = bed.open();
  for (int i = 0; i < 100'000; ++i) put(tier, fmt::format("{}", i), "v");
  EXPECT_LE(tier.stats().index_bytes, 24U * 100'000);
}

TEST(DiskTier, CountsTheListOfTheSegmentBeingWritten) {
  Bed bed;
  bed.options.segment_bytes = 4 << 20;
  Tier& tier = bed.open();
  for (int i = 0; i < 10'000; ++i) put(tier, fmt::format("{}", i), "v");
  const std::uint64_t open_bytes = tier.stats().index_bytes;
  EXPECT_GE(open_bytes, 10'000 * (sizeof(IndexEntry) + sizeof(SegmentEntry)));
  EXPECT_LE(bed.open().stats().index_bytes, open_bytes - 10'000 * sizeof(SegmentEntry));
}

TEST(DiskTier, LetsGoOfTheMemoryForALargeRecord) {
  Bed bed;
  bed.options.segment_bytes = 32 << 20;
  Tier& tier = bed.open();
  put(tier, "small", "v");
  const std::uint64_t before = tier.stats().index_bytes;
  ASSERT_TRUE(put(tier, "large", std::string(16 << 20, 'x')));
  EXPECT_LE(tier.stats().index_bytes, before + (1 << 20));
  ASSERT_TRUE(put(tier, "middle", std::string(1 << 19, 'x')));
  EXPECT_GE(tier.stats().index_bytes, before + (1 << 19));
}

TEST(DiskTier, ValuesStayReadableAfterTheTierIsGone) {
  Bed bed;
  put(bed.open(), "k", "v");
  const Handle value = bed.tier->get(Key("k"));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(value.bytes().data()) % base::kBufferAlign, 0U);
  bed.tier.reset();
  EXPECT_EQ(text_of(value), "v");
}

TEST(DiskTier, ASecondOpenerIsToldToTakeAnotherFolder) {
  Bed bed;
  bed.open();
  const auto second = open_disk_tier(bed.options, *make_policy("fifo", 1));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  bed.tier.reset();
  EXPECT_TRUE(open_disk_tier(bed.options, *make_policy("fifo", 1)));
}

TEST(DiskTier, RefusesOptionsThatCannotBe) {
  Bed bed;
  const auto kind_of = [&](const DiskOptions& options) {
    return open_disk_tier(options, *make_policy("fifo", 1)).error().kind;
  };
  DiskOptions options = bed.options;
  options.segment_bytes = 100;
  EXPECT_EQ(kind_of(options), ErrorKind::invalid);
  options = bed.options;
  options.folder = "";
  EXPECT_EQ(kind_of(options), ErrorKind::invalid);
  options = bed.options;
  options.capacity.bytes = std::uint64_t{1} << 50;
  EXPECT_EQ(kind_of(options), ErrorKind::invalid);
  EXPECT_EQ(open_disk_tier(bed.options, nullptr).error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace varve::cache
