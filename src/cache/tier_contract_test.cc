// What every kind of tier promises (include/varve/cache/tier.h).
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/random.h"
#include "cache/encoding.h"
#include "cache/test_tiers.h"
#include "varve/cache/tier.h"

namespace varve::cache {
namespace {

class EveryTier : public testing::TestWithParam<TierKind> {
 protected:
  struct Left {
    std::string key;
    std::string value;
    Cause cause;
    bool was_hit;
  };

  EveryTier() {
    setup_.now_ms = [this] { return now_ms_.load(); };
    setup_.on_removal = [this](const Removal& removal) {
      const Handle value = removal.value ? decode_value(removal.value) : Handle();
      std::lock_guard lock(mutex_);
      left_.push_back({std::string(removal.key), text_of(value), removal.cause, removal.was_hit});
    };
  }
  Tier& open() {
    tier_ = GetParam().make(setup_);
    return *tier_;
  }
  bool put(std::string_view key, std::string_view value, std::int64_t expires_ms = 0) {
    return tier_->put(Key(key), handle_of_text(value), {expires_ms});
  }
  // The value, not encoded; "(none)" for a miss.
  std::string get(std::string_view key) {
    const Handle kept = tier_->get(Key(key));
    if (!kept) return "(none)";
    const Handle value = decode_value(kept);
    EXPECT_TRUE(value) << key;
    return text_of(value);
  }
  void expect_books_balance() {
    const TierStats stats = tier_->stats();
    const std::uint64_t left =
        stats.evicted + stats.expired + stats.replaced + stats.removed + stats.lost;
    EXPECT_EQ(stats.insertions - left, stats.items);
    if (GetParam().charges_memory && setup_.capacity.bytes > 0) {
      EXPECT_LE(stats.resident_bytes, tier_->capacity().bytes);
    }
  }

  TierSetup setup_;
  std::atomic<std::int64_t> now_ms_{kTestStartMs};
  std::mutex mutex_;
  std::vector<Left> left_;
  std::unique_ptr<Tier> tier_;  // last: its end may call back
};

INSTANTIATE_TEST_SUITE_P(Kinds, EveryTier, testing::ValuesIn(tier_kinds()),
                         [](const auto& test) { return test.param.name; });

TEST_P(EveryTier, ReturnsKeysAndValuesOfAllSizes) {
  open();
  std::map<std::string, std::string> all;
  for (const std::size_t key_bytes : {1U, 2U, 7U, 8U, 23U, 24U, 25U, 200U, 1024U}) {
    for (const std::size_t bytes : {0U, 1U, 15U, 16U, 1023U, 1024U, 6144U, 70'000U}) {
      std::string key = noise(key_bytes, bytes + 1);
      const std::string value = noise(bytes, key_bytes);
      ASSERT_TRUE(put(key, value));
      all[key] = value;
    }
  }
  for (const auto& [key, value] : all) {
    EXPECT_TRUE(tier_->may_contain(Key(key)));
    EXPECT_EQ(get(key), value) << "key of " << key.size() << ", value of " << value.size();
  }
  EXPECT_EQ(get("k"), "(none)");
  expect_books_balance();
}

TEST_P(EveryTier, KeepsTheFormAndTheTimeOfAValue) {
  open();
  const std::vector<float> same(1536, 0.25F);
  const Handle raw = Handle::copy_of(std::as_bytes(std::span(same)));
  const Handle encoded = compressed()(raw);
  ASSERT_NE(encoded.method(), 0);
  const std::int64_t expires_ms = kTestStartMs + 1000;
  ASSERT_TRUE(tier_->put(Key("a"), encoded, {expires_ms}));
  const Handle kept = tier_->get(Key("a"));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept.expires_ms(), expires_ms);
  EXPECT_EQ(kept.raw_bytes(), raw.bytes().size());
  if (GetParam().keeps_encoded) {
    EXPECT_EQ(kept.method(), encoded.method());
    EXPECT_EQ(text_of(kept), text_of(encoded));
  } else {
    EXPECT_EQ(kept.method(), 0);
  }
  EXPECT_EQ(text_of(decode_value(kept)), text_of(raw));
}

TEST_P(EveryTier, ReplacesAndRemoves) {
  open();
  EXPECT_FALSE(tier_->remove(Key("a")));
  put("a", "one");
  put("a", "two");
  EXPECT_EQ(get("a"), "two");
  EXPECT_TRUE(tier_->remove(Key("a")));
  EXPECT_FALSE(tier_->remove(Key("a")));
  EXPECT_EQ(get("a"), "(none)");
  const TierStats stats = tier_->stats();
  EXPECT_EQ(stats.insertions, 2U);
  EXPECT_EQ(stats.replaced, 1U);
  EXPECT_EQ(stats.removed, 1U);
  EXPECT_EQ(stats.items, 0U);
  EXPECT_EQ(stats.value_bytes, 0U);
  EXPECT_EQ(stats.hits, 1U);
  EXPECT_EQ(stats.misses, 1U);
}

TEST_P(EveryTier, FillsInABatchWhatIsEmpty) {
  open();
  put("a", "one");
  put("c", "three");
  const std::vector<Key> keys{Key("a"), Key("b"), Key("c"), Key("a")};
  std::vector<Handle> found(4);
  found[2] = handle_of_text("mine");
  tier_->get_batch(keys, found);
  EXPECT_EQ(text_of(decode_value(found[0])), "one");
  EXPECT_FALSE(found[1]);
  EXPECT_EQ(text_of(found[2]), "mine");
  EXPECT_EQ(text_of(decode_value(found[3])), "one");

  const std::vector<Key> more{Key("d"), Key("e")};
  const std::vector<Handle> values{handle_of_text("four"), handle_of_text("five")};
  tier_->put_batch(more, values, {});
  EXPECT_EQ(get("d"), "four");
  EXPECT_EQ(get("e"), "five");
}

TEST_P(EveryTier, LosesWhatHasExpired) {
  open();
  put("a", "one", kTestStartMs + 1000);
  put("b", "two", kTestStartMs + 5000);
  put("c", "three");
  now_ms_ = kTestStartMs + 999;
  tier_->maintain();
  EXPECT_EQ(get("a"), "one");
  now_ms_ = kTestStartMs + 1000;
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_FALSE(tier_->pin(Key("a"), 0));
  tier_->maintain();
  EXPECT_EQ(tier_->stats().expired, 1U);
  EXPECT_EQ(get("b"), "two");
  now_ms_ = kTestStartMs + 500'000'000;
  tier_->maintain();
  EXPECT_EQ(get("b"), "(none)");
  EXPECT_EQ(get("c"), "three");
  EXPECT_EQ(tier_->stats().expired, 2U);
  EXPECT_EQ(tier_->stats().items, 1U);
  ASSERT_EQ(left_.size(), 2U);
  EXPECT_EQ(left_[0].key, "a");
  EXPECT_EQ(left_[0].cause, Cause::expired);
  EXPECT_TRUE(left_[0].was_hit);
}

TEST_P(EveryTier, TellsOfAnExpiredEntryBeforeANewOneIsVisible) {
  std::string seen = "(not called)";
  setup_.on_removal = [&](const Removal& removal) {
    EXPECT_EQ(removal.cause, Cause::expired);
    seen = get(removal.key);
  };
  open();
  put("a", "one", kTestStartMs + 1000);
  now_ms_ = kTestStartMs + 2000;
  put("a", "two");
  EXPECT_EQ(seen, "(none)");
  EXPECT_EQ(get("a"), "two");
  setup_.on_removal = nullptr;
  tier_.reset();
}

TEST_P(EveryTier, ShowsEachEntry) {
  open();
  std::set<std::string> expected, seen;
  for (int i = 0; i < 100; ++i) {
    std::string key = "key " + std::to_string(i);
    put(key, noise(200, static_cast<std::uint64_t>(i)));
    expected.insert(key);
  }
  ASSERT_TRUE(tier_->pin(Key("key 7"), 0));
  tier_->each([&](std::string_view key, std::uint64_t bytes, bool pinned) {
    EXPECT_GE(bytes, 200U);
    EXPECT_EQ(pinned, key == "key 7");
    EXPECT_TRUE(seen.insert(std::string(key)).second) << key;
    return true;
  });
  EXPECT_EQ(seen, expected);
  int calls = 0;
  tier_->each([&](std::string_view, std::uint64_t, bool) { return ++calls < 3; });
  EXPECT_EQ(calls, 3);
}

TEST_P(EveryTier, KeepsWhatIsPinnedAndNothingElseForEver) {
  setup_.capacity.bytes = std::uint64_t{2} << 20;
  open();
  const auto press = [this] {
    for (std::uint64_t i = 0; i < 3000; ++i) put("other " + std::to_string(i), noise(4000, i));
  };
  EXPECT_FALSE(tier_->pin(Key("a"), 0));
  put("a", "one");
  EXPECT_FALSE(tier_->pin(Key("a"), kTestStartMs));  // over already
  put("b", "two");
  ASSERT_TRUE(tier_->pin(Key("a"), 0));
  ASSERT_TRUE(tier_->pin(Key("b"), kTestStartMs + 1000));
  EXPECT_EQ(tier_->stats().pinned_items, 2U);
  press();
  EXPECT_EQ(get("a"), "one");
  EXPECT_EQ(get("b"), "two");
  // Reads do not move the end.
  now_ms_ = kTestStartMs + 1000;
  EXPECT_EQ(get("b"), "two");
  tier_->maintain();
  EXPECT_EQ(tier_->stats().pinned_items, 1U);
  EXPECT_FALSE(tier_->unpin(Key("b")));
  EXPECT_TRUE(tier_->unpin(Key("a")));
  EXPECT_FALSE(tier_->unpin(Key("a")));
  for (int i = 0; i < 5; ++i) press();
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_EQ(get("b"), "(none)");
  EXPECT_EQ(tier_->stats().pinned_bytes, 0U);
  expect_books_balance();
}

TEST_P(EveryTier, PinsTheNewerValueOfAPinnedKey) {
  setup_.capacity.bytes = std::uint64_t{2} << 20;
  open();
  put("a", "one");
  ASSERT_TRUE(tier_->pin(Key("a"), kTestStartMs + 1000));
  const std::string larger = noise(50'000, 1);
  ASSERT_TRUE(put("a", larger));
  EXPECT_EQ(tier_->stats().pinned_items, 1U);
  EXPECT_GE(tier_->stats().pinned_bytes, larger.size());
  for (std::uint64_t i = 0; i < 3000; ++i) put("other " + std::to_string(i), noise(4000, i));
  EXPECT_EQ(get("a"), larger);
  now_ms_ = kTestStartMs + 1000;
  tier_->maintain();
  EXPECT_EQ(tier_->stats().pinned_items, 0U);
  EXPECT_EQ(tier_->stats().pinned_bytes, 0U);
  // A removed one leaves no pin to what comes after it.
  ASSERT_TRUE(put("a", "two"));
  ASSERT_TRUE(tier_->pin(Key("a"), 0));
  ASSERT_TRUE(tier_->remove(Key("a")));
  ASSERT_TRUE(put("a", "three"));
  EXPECT_EQ(tier_->stats().pinned_items, 0U);
  expect_books_balance();
}

TEST_P(EveryTier, PinsWhatComesIn) {
  setup_.capacity.bytes = std::uint64_t{2} << 20;
  open();
  const auto press = [this] {
    for (std::uint64_t i = 0; i < 1000; ++i) {
      put("other " + std::to_string(i), noise(4000, i));
      get("other " + std::to_string(i));
    }
  };
  press();
  // As large as no newcomer may be for long.
  const std::string large = noise(200'000, 1);
  const Handle value = handle_of_text(large);
  ASSERT_TRUE(tier_->put_pinned(Key("a"), value, {}, kTestStartMs + 1000));
  press();
  EXPECT_EQ(get("a"), large);
  ASSERT_TRUE(tier_->put_pinned(Key("a"), value, {}, kTestStartMs + 2000));
  now_ms_ = kTestStartMs + 1000;
  tier_->maintain();
  EXPECT_EQ(tier_->stats().pinned_items, 1U);
  now_ms_ = kTestStartMs + 2000;
  tier_->maintain();
  EXPECT_EQ(tier_->stats().pinned_items, 0U);
  EXPECT_FALSE(tier_->put_pinned(Key("b"), handle_of_text("b"), {}, kTestStartMs + 2000));
  EXPECT_EQ(tier_->stats().pinned_items, 0U);
  expect_books_balance();
}

TEST_P(EveryTier, LimitsWhatIsPinned) {
  setup_.capacity.bytes = std::uint64_t{2} << 20;
  open();
  int pinned = 0;
  for (int i = 0; i < 400; ++i) {
    const std::string key = std::to_string(i);
    put(key, noise(10'000, static_cast<std::uint64_t>(i)));
    pinned += tier_->pin(Key(key), 0);
  }
  EXPECT_GT(pinned, 50);
  EXPECT_LE(tier_->stats().pinned_bytes, std::uint64_t{1} << 20);
  tier_->set_capacity({std::uint64_t{1} << 20, 0});
  EXPECT_LE(tier_->stats().pinned_bytes, std::uint64_t{1} << 19);
  expect_books_balance();
}

TEST_P(EveryTier, FollowsItsCapacity) {
  open();
  for (std::uint64_t i = 0; i < 1000; ++i) put(std::to_string(i), noise(4000, i));
  EXPECT_GT(tier_->stats().items, 900U);
  tier_->set_capacity({std::uint64_t{1} << 20, 0});
  EXPECT_EQ(tier_->capacity().bytes, std::uint64_t{1} << 20);
  EXPECT_LT(tier_->stats().items, 300U);
  expect_books_balance();
  tier_->set_capacity({std::uint64_t{8} << 20, 0});
  for (std::uint64_t i = 0; i < 1000; ++i) put(std::to_string(i), noise(4000, i));
  EXPECT_GT(tier_->stats().items, 900U);
  expect_books_balance();
}

TEST_P(EveryTier, TellsOnceOfEachEntryThatLeftAndWhy) {
  setup_.capacity.bytes = std::uint64_t{1} << 20;
  open();
  const std::uint64_t seed = 20;
  SCOPED_TRACE(seed);
  base::Random random(seed);
  std::set<std::string> put_so_far;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const std::string key = std::to_string(random.below(500));
    const std::uint64_t action = random.below(10);
    if (action < 6) {
      const std::string value = std::to_string(i) + noise(random.below(10'000), i);
      put_so_far.insert(value);
      put(key, value, random.below(3) == 0 ? now_ms_ + 100 : 0);
    } else if (action < 8) {
      get(key);
    } else if (action == 8) {
      tier_->remove(Key(key));
    } else {
      now_ms_ += 10;
      tier_->maintain();
    }
    if (i % 500 == 0) expect_books_balance();
  }
  const TierStats stats = tier_->stats();
  std::map<Cause, std::uint64_t> causes;
  for (const Left& each : left_) {
    ++causes[each.cause];
    if (!GetParam().tells_values) continue;
    EXPECT_EQ(put_so_far.erase(each.value), 1U) << each.key << ' ' << to_string(each.cause);
  }
  EXPECT_EQ(causes[Cause::evicted], stats.evicted);
  EXPECT_EQ(causes[Cause::expired], stats.expired);
  EXPECT_EQ(causes[Cause::replaced], stats.replaced);
  EXPECT_EQ(causes[Cause::removed], stats.removed);
  if (GetParam().tells_values) {
    EXPECT_EQ(put_so_far.size(), stats.items + stats.rejected);
  }
}

TEST_P(EveryTier, LetsItsCallbackUseIt) {
  setup_.capacity.bytes = std::uint64_t{1} << 20;
  std::atomic<int> depth{0}, calls{0};
  setup_.on_removal = [&](const Removal& removal) {
    ++calls;
    if (depth > 3) return;
    ++depth;
    get(removal.key);
    put("from the callback " + std::to_string(calls), noise(3000, 1));
    tier_->remove(Key("0"));
    tier_->stats();
    tier_->maintain();
    --depth;
  };
  open();
  for (std::uint64_t i = 0; i < 1000; ++i) put(std::to_string(i), noise(4000, i));
  EXPECT_GT(calls, 500);
  expect_books_balance();
}

TEST_P(EveryTier, LeavesHandlesAsTheyAre) {
  setup_.capacity.bytes = std::uint64_t{1} << 20;
  open();
  std::vector<std::pair<Handle, std::string>> kept;
  for (std::uint64_t i = 0; i < 30; ++i) {
    const std::string value = noise(5000 + i, i);
    put(std::to_string(i), value);
    kept.emplace_back(decode_value(tier_->get(Key(std::to_string(i)))), value);
  }
  for (std::uint64_t i = 0; i < 10; ++i) put(std::to_string(i), "new");
  for (std::uint64_t i = 10; i < 20; ++i) tier_->remove(Key(std::to_string(i)));
  for (std::uint64_t i = 100; i < 2000; ++i) put(std::to_string(i), noise(5000, i));
  for (const auto& [handle, value] : kept) EXPECT_EQ(text_of(handle), value);
  tier_.reset();
  for (const auto& [handle, value] : kept) EXPECT_EQ(text_of(handle), value);
  const Handle copy = kept[3].first;
  const std::string expected = kept[3].second;
  kept.clear();
  EXPECT_EQ(text_of(copy), expected);
}

TEST_P(EveryTier, CountsEveryGetAsAHitOrAMiss) {
  open();
  constexpr int kThreads = 4;
  constexpr int kGets = 3000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      base::Random random(static_cast<std::uint64_t>(t));
      for (int i = 0; i < kGets; ++i) {
        const std::string key = std::to_string(random.below(300));
        const std::string value = get(key);
        EXPECT_TRUE(value == "(none)" || value == "of " + key) << value;
        if (i % 3 == 0) put(key, "of " + key);
        if (i % 50 == 0) tier_->remove(Key(key));
        if (i % 500 == 0) tier_->maintain();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const TierStats stats = tier_->stats();
  EXPECT_EQ(stats.hits + stats.misses, std::uint64_t{kThreads} * kGets);
  EXPECT_GT(stats.hits, 0U);
  expect_books_balance();
}

}  // namespace
}  // namespace varve::cache
