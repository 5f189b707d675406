// What the tiers in memory promise beyond the contract of all tiers.
#include "varve/cache/memory.h"

#include <set>
#include <thread>

#include "base/random.h"
#include "cache/encoding.h"
#include "cache/memory/shard.h"
#include "cache/test_tiers.h"

namespace varve::cache {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

class EveryMemoryPolicy : public testing::TestWithParam<std::string_view> {};

INSTANTIATE_TEST_SUITE_P(Names, EveryMemoryPolicy, testing::ValuesIn(policy_names()),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(EveryMemoryPolicy, NeverChargesMoreThanItsCapacity) {
  const std::uint64_t seed = 31;
  SCOPED_TRACE(seed);
  base::Random random(seed);
  const std::string bytes = noise(kMiB, seed);
  for (const std::uint64_t capacity : {64 * 1024UL, kMiB, 16 * kMiB}) {
    const auto tier = memory_tier({{capacity, 0}, {}, [] { return kTestStartMs; }}, GetParam());
    std::uint64_t most = 0;
    for (int i = 0; i < 3000; ++i) {
      const std::string key = std::to_string(random.below(5000));
      const std::size_t size = random.below(bytes.size() >> random.below(20));
      tier->put(Key(key), handle_of_text(std::string_view(bytes).substr(0, size)), {});
      tier->get(Key(std::to_string(random.below(5000))));
      if (i % 20 != 0) continue;
      const TierStats stats = tier->stats();
      ASSERT_LE(stats.resident_bytes, capacity);
      ASSERT_LE(stats.value_bytes + stats.index_bytes, stats.resident_bytes);
      ASSERT_EQ(stats.held_bytes, 0U);
      most = std::max(most, stats.value_bytes);
    }
    EXPECT_GT(most, capacity / 4);
  }
}

TEST_P(EveryMemoryPolicy, CountsItemsWhereThatIsTheBound) {
  const auto tier = memory_tier({{0, 100}, {}, [] { return kTestStartMs; }}, GetParam(), {}, 1);
  for (int i = 0; i < 1000; ++i) tier->put(Key(std::to_string(i)), handle_of_text("v"), {});
  EXPECT_EQ(tier->stats().items, 100U);
  tier->set_capacity({0, 10});
  EXPECT_EQ(tier->stats().items, 10U);
  // Without a bound nothing leaves.
  tier->set_capacity({});
  for (int i = 0; i < 5000; ++i) tier->put(Key(std::to_string(i)), handle_of_text("v"), {});
  EXPECT_EQ(tier->stats().items, 5000U);
}

// A hash says nothing about bytes: keys of the same one, of every length, that differ in one place.
TEST_P(EveryMemoryPolicy, ComparesEveryByteOfAKey) {
  const auto tier = memory_tier({{}, {}, [] { return kTestStartMs; }}, GetParam());
  constexpr std::uint64_t kHash = 0x1234567890ABCDEF;
  for (std::size_t length = 1; length <= 48; ++length) {
    const std::string kept(length, 'k');
    ASSERT_TRUE(tier->put(Key(kept, kHash), handle_of_text(kept), {}));
    // The first hit, and later ones, which take a shorter way.
    for (int i = 0; i < 3; ++i) ASSERT_EQ(text_of(tier->get(Key(kept, kHash))), kept);
    for (std::size_t at = 0; at < length; ++at) {
      std::string other = kept;
      other[at] = 'x';
      EXPECT_FALSE(tier->get(Key(other, kHash))) << length << " bytes, " << at;
    }
    EXPECT_FALSE(tier->get(Key(kept + "k", kHash)));
    ASSERT_TRUE(tier->remove(Key(kept, kHash)));
    EXPECT_FALSE(tier->get(Key(kept, kHash)));
  }
}

TEST(MemoryTier, RefusesWhatWouldPushOutAllElse) {
  const auto tier = memory_tier({{kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru");
  tier->put(Key("small"), handle_of_text("s"), {});
  tier->put(Key("big"), handle_of_text("old"), {});
  EXPECT_FALSE(tier->put(Key("big"), handle_of_text(noise(kMiB, 1)), {}));
  EXPECT_FALSE(tier->get(Key("big")));
  EXPECT_TRUE(tier->get(Key("small")));
  EXPECT_EQ(tier->stats().rejected, 1U);
  // Beside what is pinned there is no room either.
  tier->put(Key("pinned"), handle_of_text(noise(kMiB * 4 / 10, 1)), {});
  ASSERT_TRUE(tier->pin(Key("pinned"), 0));
  EXPECT_FALSE(tier->put(Key("big"), handle_of_text(noise(kMiB * 6 / 10, 1)), {}));
  EXPECT_TRUE(tier->get(Key("small")));
  EXPECT_TRUE(tier->get(Key("pinned")));
}

TEST(MemoryTier, TakesALargerValueInPlaceOfAPinnedOne) {
  const auto tier = memory_tier({{kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru");
  tier->put(Key("pinned"), handle_of_text(noise(kMiB * 4 / 10, 1)), {});
  ASSERT_TRUE(tier->pin(Key("pinned"), 0));
  // Beside the old one there would be no room.
  const std::string larger = noise(kMiB * 7 / 10, 2);
  ASSERT_TRUE(tier->put(Key("pinned"), handle_of_text(larger), {}));
  EXPECT_EQ(tier->stats().pinned_items, 1U);
  EXPECT_EQ(text_of(tier->get(Key("pinned"))), larger);
  // More than pinned ones may have together.
  tier->maintain();
  EXPECT_EQ(tier->stats().pinned_bytes, 0U);
  EXPECT_EQ(text_of(tier->get(Key("pinned"))), larger);
}

TEST(MemoryTier, PinsInOnePartWhatAllMayHaveTogether) {
  const auto tier = memory_tier({{64 * kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru", {}, 64);
  const std::string large = noise(kMiB * 7 / 10, 1);
  ASSERT_TRUE(tier->put(Key("large", 1), handle_of_text(large), {}));
  ASSERT_TRUE(tier->pin(Key("large", 1), 0));
  // Its part lives on beside it, up to what fits there.
  for (std::uint64_t i = 2; i < 500; ++i) {
    ASSERT_TRUE(tier->put(Key("small", i), handle_of_text(noise(4000, i)), {}));
  }
  EXPECT_FALSE(tier->put(Key("other", 1000), handle_of_text(large), {}));
  EXPECT_EQ(text_of(tier->get(Key("large", 1))), large);
  EXPECT_LE(tier->stats().resident_bytes, kMiB * 2);
  // A part is never pinned as a whole.
  ASSERT_TRUE(tier->put(Key("more", 1001), handle_of_text(noise(kMiB / 5, 1)), {}));
  EXPECT_FALSE(tier->pin(Key("more", 1001), 0));
}

TEST(MemoryTier, EndsPinsThatAreDueBeforeItRefusesOthers) {
  std::int64_t now_ms = kTestStartMs;
  const auto tier = memory_tier({{16 * kMiB, 0}, {}, [&] { return now_ms; }}, "lru", {}, 2);
  // Each in a part of its own.
  const Key due("due", 1), stays("stays", ~std::uint64_t{0});
  const Handle value = handle_of_text(noise(5 * kMiB, 1));
  for (const Key& key : {due, stays}) ASSERT_TRUE(tier->put(key, value, {}));
  ASSERT_TRUE(tier->pin(due, kTestStartMs + 1000));
  EXPECT_FALSE(tier->pin(stays, 0));
  now_ms += 1000;
  EXPECT_TRUE(tier->pin(stays, 0));
  EXPECT_EQ(tier->stats().pinned_items, 1U);
}

TEST(MemoryTier, EndsPinsThatAreDueBeforeOthersIfItShrinks) {
  std::int64_t now_ms = kTestStartMs;
  const auto tier = memory_tier({{8 * kMiB, 0}, {}, [&] { return now_ms; }}, "lru", {}, 1);
  for (const char* name : {"due", "stays"}) {
    ASSERT_TRUE(tier->put(Key(name), handle_of_text(noise(kMiB, 1)), {}));
    ASSERT_TRUE(tier->pin(Key(name), name[0] == 'd' ? kTestStartMs + 1000 : 0));
  }
  now_ms += 1000;
  tier->set_capacity({3 * kMiB, 0});
  EXPECT_EQ(tier->stats().pinned_items, 1U);
  EXPECT_TRUE(tier->unpin(Key("stays")));
}

TEST(MemoryTier, RejectsWhatCannotBeDecoded) {
  const auto tier = memory_tier({{kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru");
  tier->put(Key("a"), handle_of_text("one"), {});
  Handle damaged = handle_of_text("no frame of zstd");
  damaged.set_encoding(6, 1000);
  EXPECT_FALSE(tier->put(Key("a"), damaged, {}));
  EXPECT_FALSE(tier->get(Key("a")));
  const TierStats stats = tier->stats();
  EXPECT_EQ(stats.rejected, 1U);
  EXPECT_EQ(stats.replaced, 1U);
  EXPECT_EQ(stats.removed, 0U);
}

TEST(MemoryTier, ShowsWhatCompressionTakes) {
  const std::uint64_t before = encoding_bytes();
  constexpr std::size_t kSampleBytes = 10'000;
  {
    const auto tier = memory_tier(
        {{kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru",
        compressed({.floats = false, .zstd_level = 3, .dictionary_bytes = std::size_t{64} << 10}));
    tier->put(Key("a"), handle_of_text(noise(kSampleBytes, 1)), {});
    const TierStats stats = tier->stats();
    EXPECT_GE(encoding_bytes(), before + kSampleBytes);
    EXPECT_GT(stats.index_bytes, encoding_bytes());
    EXPECT_LE(stats.resident_bytes, kMiB);
  }
  const auto plain = memory_tier({{kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru");
  // A context of the thread stays, the samples do not.
  const std::uint64_t after = encoding_bytes();
  const auto encode = compressed({.floats = false, .zstd_level = 3, .dictionary_bytes = 1024});
  encode(handle_of_text(noise(kSampleBytes, 2)));
  EXPECT_EQ(encoding_bytes(), after + kSampleBytes);
  EXPECT_LT(plain->stats().index_bytes, encoding_bytes());
}

TEST(MemoryTier, TellsItsOwnerLast) {
  class Owner final : public TierOwner {
   public:
    explicit Owner(std::string& told) : told_(told) {}
    std::uint64_t version(std::uint64_t) const override { return 0; }
    void left(const Removal&) override { told_ += "owner "; }

   private:
    std::string& told_;
  };
  std::string told;
  Owner owner(told);
  const auto tier = memory_tier(
      {{kMiB, 0}, [&](const Removal&) { told += "callback "; }, [] { return kTestStartMs; }},
      "lru");
  tier->set_owner(&owner);
  tier->put(Key("a"), handle_of_text("one"), {});
  tier->remove(Key("a"));
  EXPECT_EQ(told, "callback owner ");
}

TEST(MemoryTier, LendsAnyNumberOfHandlesToOneThread) {
  const auto tier = memory_tier({{kMiB, 0}, {}, [] { return kTestStartMs; }}, "s3-fifo");
  constexpr std::size_t kHandles = 3 * ThreadRecord::kWords;
  std::vector<Handle> handles;
  for (std::size_t i = 0; i < kHandles; ++i) {
    const std::string key = std::to_string(i);
    tier->put(Key(key), handle_of_text("value " + key), {});
    handles.push_back(tier->get(Key(key)));
  }
  for (std::size_t i = 0; i < kHandles; ++i) tier->remove(Key(std::to_string(i)));
  tier->maintain();
  EXPECT_GT(tier->stats().held_bytes, 0U);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    tier->put(Key(std::to_string(i)), handle_of_text(noise(3000, i)), {});
  }
  for (std::size_t i = 0; i < kHandles; ++i) {
    EXPECT_EQ(text_of(handles[i]), "value " + std::to_string(i));
  }
  std::vector<Handle> copies(handles.begin(), handles.begin() + 4);
  handles.clear();
  for (std::size_t i = 0; i < copies.size(); ++i) {
    EXPECT_EQ(text_of(copies[i]), "value " + std::to_string(i));
  }
  copies.clear();
  tier->maintain();
  EXPECT_EQ(tier->stats().held_bytes, 0U);
}

TEST(MemoryTier, IsFreedWithTheNextTierIfAHandleOutlivedIt) {
  const auto token = std::make_shared<int>();
  auto tier = memory_tier({{kMiB, 0}, {}, [token] { return kTestStartMs; }}, "lru");
  tier->put(Key("a"), handle_of_text("one"), {});
  Handle handle = tier->get(Key("a"));
  tier.reset();
  EXPECT_GT(token.use_count(), 1);
  // It was announced by its thread: nobody hears that it leaves.
  handle = {};
  memory_tier({{kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru");
  EXPECT_EQ(token.use_count(), 1);
}

TEST(MemoryTier, TakesHandlesBackFromAnyThread) {
  const auto tier = memory_tier({{kMiB, 0}, {}, [] { return kTestStartMs; }}, "sieve");
  constexpr int kThreads = 4;
  constexpr int kRounds = 400;
  std::mutex mutex;
  std::vector<std::pair<Handle, std::string>> passed_on;
  const auto work = [&](std::uint64_t seed) {
    base::Random random(seed);
    for (int i = 0; i < kRounds; ++i) {
      const std::string key = std::to_string(random.below(200));
      tier->put(Key(key), handle_of_text(key + noise(random.below(4000), 1)), {});
      std::vector<std::pair<Handle, std::string>> mine;
      for (int n = 0; n < 12; ++n) {
        const std::string other = std::to_string(random.below(200));
        if (Handle found = tier->get(Key(other))) mine.emplace_back(std::move(found), other);
      }
      {
        std::lock_guard lock(mutex);
        mine.swap(passed_on);
      }
      for (const auto& [handle, expected] : mine) {
        ASSERT_EQ(text_of(handle).substr(0, expected.size()), expected);
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
  for (auto& thread : threads) thread.join();
  // Threads that made them are gone.
  for (const auto& [handle, expected] : passed_on) {
    EXPECT_EQ(text_of(handle).substr(0, expected.size()), expected);
  }
  passed_on.clear();
  tier->set_capacity({64 * 1024, 0});
  EXPECT_EQ(tier->stats().held_bytes, 0U);
}

TEST(MemoryTier, DoesNotLookAtAllThreadsForEachRemovalWhileOneLargeHandleIsHeld) {
  const auto tier = memory_tier({{8 * kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru", {}, 1);
  tier->put(Key("large"), handle_of_text(noise(kMiB, 1)), {});
  const Handle held = tier->get(Key("large"));
  tier->remove(Key("large"));
  tier->maintain();
  EXPECT_GE(tier->stats().held_bytes, kMiB);
  tier->put(Key("small"), handle_of_text("s"), {});
  tier->remove(Key("small"));
  // Still waiting, not collected at once.
  const TierStats waiting = tier->stats();
  tier->maintain();
  EXPECT_GT(waiting.resident_bytes, tier->stats().resident_bytes);
}

TEST(MemoryTier, KeepsItsPartsApart) {
  for (const std::uint32_t shards : {1U, 2U, 16U, 64U}) {
    const auto tier =
        memory_tier({{64 * kMiB, 0}, {}, [] { return kTestStartMs; }}, "s3-fifo", {}, shards);
    for (std::uint64_t i = 0; i < 2000; ++i) {
      ASSERT_TRUE(tier->put(Key(std::to_string(i)), handle_of_text(noise(1000, i)), {}));
    }
    for (std::uint64_t i = 0; i < 2000; ++i) {
      EXPECT_EQ(text_of(tier->get(Key(std::to_string(i)))), noise(1000, i));
    }
    EXPECT_EQ(tier->stats().items, 2000U);
  }
}

TEST(MemoryTier, FindsWhatIsThereWhileItsTableGrows) {
  const auto tier = memory_tier({{}, {}, [] { return kTestStartMs; }}, "fifo", {}, 1);
  constexpr int kStay = 100;
  for (int i = 0; i < kStay; ++i) {
    const std::string key = "stays " + std::to_string(i);
    tier->put(Key(key), handle_of_text(key), {});
  }
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (std::uint64_t t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      base::Random random(t);
      while (!done) {
        const std::string key = "stays " + std::to_string(random.below(kStay));
        EXPECT_EQ(text_of(tier->get(Key(key))), key);
        EXPECT_TRUE(tier->may_contain(Key(key)));
      }
    });
  }
  for (int i = 0; i < 30'000; ++i) {
    const std::string key = std::to_string(i);
    tier->put(Key(key), handle_of_text("v"), {});
    // A replacement must not look like a miss.
    const std::string stays = "stays " + std::to_string(i % kStay);
    tier->put(Key(stays), handle_of_text(stays), {});
  }
  done = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(tier->stats().items, 30'000U + kStay);
}

// Around what fits in the half line that hits look at: keys of 8 to 16 bytes, values below 1 MiB.
// Asked three times: the first hit goes another way than those that follow.
TEST(MemoryTier, HitsAreRightAroundTheLimitsOfThePlainForm) {
  for (const std::size_t key_bytes : {1U, 7U, 8U, 9U, 15U, 16U, 17U, 24U, 25U, 300U}) {
    for (const std::size_t value_bytes :
         {0UL, 1UL, 1023UL, 1024UL, kMiB - 1UL, kMiB + 0UL, kMiB + 1UL}) {
      SCOPED_TRACE(testing::Message() << "key " << key_bytes << ", value " << value_bytes);
      const auto tier = memory_tier({{16 * kMiB, 0}, {}, [] { return kTestStartMs; }}, "s3-fifo");
      // Equal but for one byte, at either end.
      const std::string key(key_bytes, 'k');
      std::string other_front = key, other_back = key;
      other_front.front() = 'f';
      other_back.back() = 'b';
      std::string value(value_bytes, 'v');
      if (!value.empty()) value.front() = 'a', value.back() = 'z';
      ASSERT_TRUE(tier->put(Key(key), handle_of_text(value), {}));
      for (int asked = 0; asked < 3; ++asked) {
        const Handle hit = tier->get(Key(key));
        ASSERT_TRUE(hit);
        EXPECT_TRUE(text_of(hit) == value);
        EXPECT_EQ(hit.raw_bytes(), value_bytes);
        // With the same hash, so that only the key itself can tell them apart.
        const std::uint64_t hash = Key(key).hash;
        EXPECT_FALSE(tier->get(Key(other_front, hash)));
        EXPECT_FALSE(tier->get(Key(other_back, hash)));
        EXPECT_FALSE(tier->get(Key(key + 'k', hash)));
        if (key_bytes == 1) continue;
        EXPECT_FALSE(tier->get(Key(std::string_view(key).substr(1), hash)));
      }
    }
  }
}

// The search takes an empty cell for one with tag 1 now and then.
TEST(MemoryTier, DoesNotFindAgainWhatLeftACellAboveOneWithTheSameTag) {
  const auto tier = memory_tier({{kMiB, 0}, {}, [] { return kTestStartMs; }}, "lru", {}, 1);
  const std::uint64_t hash = std::uint64_t{1} << 40;
  const Key lower("lower", hash), upper("upper", hash);
  tier->put(lower, handle_of_text("one"), {});
  tier->put(upper, handle_of_text("two"), {});
  EXPECT_TRUE(tier->remove(upper));
  EXPECT_FALSE(tier->may_contain(upper));
  EXPECT_FALSE(tier->remove(upper));
  EXPECT_FALSE(tier->get(upper));
  EXPECT_FALSE(tier->pin(upper, 0));
  EXPECT_EQ(text_of(tier->get(lower)), "one");
}

TEST(MemoryTable, EndsASearchAlsoIfEveryBucketWasOverrun) {
  auto shared = std::make_shared<MemoryShared>();
  shared->now_ms = [] { return kTestStartMs; };
  Shard shard(shared, policy_for_test("fifo"));
  Slab slab(shard);
  Table table(slab);
  // Runs of full buckets, one after the other, of which only the entry that overran them stays.
  const auto fill_run = [&](std::uint64_t first) {
    std::vector<Entry*> run;
    for (std::uint64_t n = 0; n < 31; ++n) {
      run.push_back(slab.take());
      run.back()->rest().hash = (first + n / 6 % 5) % 16;
      if (n == 30) run.back()->rest().hash = first % 16;
      table.insert(*run.back());
    }
    for (std::size_t n = 0; n < 30; ++n) table.remove(*run[n]);
  };
  for (const std::uint64_t first : {0U, 5U, 10U, 15U}) fill_run(first);
  EXPECT_EQ(table.size(), 4U);
  EXPECT_FALSE(table.search(3, [](const Entry&) { return false; }));
}

}  // namespace
}  // namespace varve::cache
