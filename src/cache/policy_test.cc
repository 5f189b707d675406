#include "varve/cache/policy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <list>
#include <map>
#include <set>
#include <thread>

#include "base/random.h"
#include "cache/policy/frequency_sketch.h"
#include "cache/policy/ghost.h"
#include "cache/policy/queue_balance.h"
#include "cache/replay.h"

namespace varve::cache {
namespace {

std::unique_ptr<EvictionPolicy> policy_named(std::string_view name) {
  auto policy = make_policy(name, 1);
  EXPECT_TRUE(policy);
  return std::move(*policy);
}

std::uint64_t misses(std::string_view name, const Trace& trace, std::uint64_t capacity) {
  return count_misses(trace, capacity, *policy_named(name));
}

// Keys by a power law: rank r with a weight of 1 / r.
std::vector<Access> skewed(std::size_t count, std::uint64_t keys, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<Access> accesses(count);
  for (Access& access : accesses) {
    access.key = static_cast<std::uint64_t>(std::pow(static_cast<double>(keys), random.unit()));
    access.size = 1 + access.key % 7;
  }
  return accesses;
}

class EveryPolicy : public testing::TestWithParam<std::string_view> {};

std::vector<std::string_view> names_and_combinations() {
  std::vector<std::string_view> names(policy_names().begin(), policy_names().end());
  names.insert(names.end(), {"s3-fifo+forecast", "lru+forecast"});
  return names;
}

INSTANTIATE_TEST_SUITE_P(Names, EveryPolicy, testing::ValuesIn(names_and_combinations()),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase_if(name, [](char c) { return c == '-' || c == '+'; });
                           return name;
                         });

TEST(Policy, TheDefaultIsNamedFirst) { EXPECT_EQ(policy_names().front(), kDefaultPolicy); }

TEST_P(EveryPolicy, EvictsWhatItHoldsAndEachEntryOnce) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    const auto policy = policy_named(GetParam());
    EXPECT_EQ(policy->name(), GetParam());
    policy->set_capacity(200);
    std::set<SlotId> held;
    for (int step = 0; step < 20'000; ++step) {
      const auto slot = static_cast<SlotId>(random.below(300));
      const std::uint64_t action = random.below(10);
      if (!held.contains(slot) && action < 6) {
        policy->insert(slot, slot * 0x9E3779B97F4A7C15, 1 + slot % 5);
        held.insert(slot);
      } else if (held.contains(slot) && action < 8) {
        policy->touch(slot);
      } else if (held.contains(slot)) {
        policy->remove(slot);
        held.erase(slot);
      } else if (!held.empty()) {
        EXPECT_EQ(held.erase(policy->evict()), 1U);
      }
      if (step == 10'000) policy->set_capacity(50);
      ASSERT_EQ(policy->size(), held.size());
    }
    while (!held.empty()) ASSERT_EQ(held.erase(policy->evict()), 1U);
    EXPECT_EQ(policy->size(), 0U);
    EXPECT_GT(policy->resident_bytes(), 0U);
  }
}

TEST_P(EveryPolicy, MissesNoLessThanTheOptimumAndNoMoreThanFifoOnSkewedKeys) {
  const Trace trace = Trace(skewed(60'000, 5'000, 7)).in_items();
  for (const std::uint64_t capacity : {50U, 500U}) {
    const std::uint64_t least = count_misses_of_optimum(trace, capacity);
    const std::uint64_t found = misses(GetParam(), trace, capacity);
    EXPECT_GE(found, least);
    EXPECT_LE(found, misses("fifo", trace, capacity));
  }
}

TEST_P(EveryPolicy, HoldsEverythingThatFits) {
  const Trace trace(skewed(20'000, 300, 8));
  EXPECT_EQ(misses(GetParam(), trace, trace.total_size()), trace.key_count());
  EXPECT_EQ(count_misses_of_optimum(trace, trace.total_size()), trace.key_count());
}

TEST_P(EveryPolicy, TakesHitsOfOtherThreadsBesideItsOwnWork) {
  const auto policy = policy_named(GetParam());
  if (!policy->touch_is_concurrent()) return;
  constexpr SlotId kSlots = 5'000;
  policy->set_capacity(kSlots);
  std::atomic<SlotId> inserted = 0;
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    readers.emplace_back([&, seed] {
      base::Random random(seed);
      while (!done.load()) {
        policy->touch(static_cast<SlotId>(random.below(inserted.load() + 1)));
      }
    });
  }
  std::set<SlotId> held;
  for (int round = 0; round < 4; ++round) {
    for (SlotId slot = 0; slot < kSlots; ++slot) {
      if (held.insert(slot).second) policy->insert(slot, slot * 0x9E3779B97F4A7C15, 1);
      inserted.store(std::max(inserted.load(), slot));
      while (held.size() > kSlots / 2 && held.erase(policy->evict()) == 1) continue;
    }
  }
  done.store(true);
  for (std::thread& reader : readers) reader.join();
  while (!held.empty()) ASSERT_EQ(held.erase(policy->evict()), 1U);
  EXPECT_EQ(policy->size(), 0U);
}

// Written on standard containers, so that no code is shared.
std::uint64_t oracle(const std::vector<Access>& accesses, std::uint64_t capacity, bool hits_count) {
  std::list<std::uint64_t> order;
  std::map<std::uint64_t, std::list<std::uint64_t>::iterator> held;
  std::map<std::uint64_t, std::uint64_t> sizes;
  std::uint64_t used = 0, misses = 0;
  for (const Access& access : accesses) {
    const std::uint64_t size = sizes.emplace(access.key, access.size).first->second;
    if (const auto entry = held.find(access.key); entry != held.end()) {
      if (hits_count) order.splice(order.end(), order, entry->second);
      continue;
    }
    ++misses;
    if (size > capacity) continue;
    held[access.key] = order.insert(order.end(), access.key);
    for (used += size; used > capacity; order.pop_front()) {
      used -= sizes[order.front()];
      held.erase(order.front());
    }
  }
  return misses;
}

TEST(Policy, FifoAndLruEqualAnOracle) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    const auto accesses = skewed(30'000, 2'000, seed);
    const Trace trace(accesses);
    for (const std::uint64_t capacity : {3U, 40U, 400U, 4'000U}) {
      EXPECT_EQ(misses("fifo", trace, capacity), oracle(accesses, capacity, false)) << seed;
      EXPECT_EQ(misses("lru", trace, capacity), oracle(accesses, capacity, true)) << seed;
    }
  }
}

TEST(Policy, SieveAndS3FifoKeepHotKeysThroughAScan) {
  std::vector<Access> accesses;
  for (std::uint64_t round = 0; round < 200; ++round) {
    for (int twice = 0; twice < 3; ++twice) {
      for (std::uint64_t hot = 0; hot < 50; ++hot) accesses.push_back({hot, 1});
    }
    for (std::uint64_t i = 0; i < 100; ++i) accesses.push_back({1'000'000 + round * 100 + i, 1});
  }
  const Trace trace(accesses);
  // LRU loses every hot key to each scan.
  const std::uint64_t lost = misses("lru", trace, 100);
  EXPECT_GE(lost, 200U * 150);
  for (const auto* name : {"s3-fifo", "sieve", "w-tinylfu"}) {
    EXPECT_LE(misses(name, trace, 100), 200U * 105) << name;
  }
}

TEST(Policy, OptimumOfASmallCaseIsExact) {
  // Belady's own example: with 3 places 7 of these 12 miss if newcomers must be taken in; refusing
  // one that is never used again does not help here.
  std::vector<Access> accesses;
  for (const std::uint64_t key : {1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5}) accesses.push_back({key, 1});
  EXPECT_EQ(count_misses_of_optimum(Trace(accesses), 3), 7U);
}

TEST(Policy, UnknownNamesListTheKnownOnes) {
  const auto policy = make_policy("mru", 1);
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().kind, ErrorKind::invalid);
  EXPECT_NE(policy.error().hint.find("s3-fifo, sieve"), std::string::npos);
  EXPECT_FALSE(make_policy("mru+forecast", 1));
  EXPECT_FALSE(make_policy("+forecast", 1));
}

TEST(FrequencySketch, NeverCountsTooLittleBeforeItAges) {
  FrequencySketch sketch;
  sketch.reserve(1'000);
  base::Random random(3);
  std::map<std::uint64_t, unsigned> counts;
  for (int i = 0; i < 2'000; ++i) {
    const std::uint64_t hash = random.below(400) * 0x9E3779B97F4A7C15;
    sketch.add(hash);
    ++counts[hash];
    if (i == 1'000) sketch.reserve(4'000);
  }
  for (const auto& [hash, count] : counts) {
    EXPECT_GE(sketch.estimate(hash), std::min(count, 15U));
  }
}

TEST(Ghost, RemembersTheLastOnesAndEachOnce) {
  Ghost ghost;
  ghost.set_capacity(64);
  base::Random random(4);
  std::vector<std::uint64_t> hashes(1'000);
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    ghost.add(hashes[i] = random.next(), {i % 2 == 1, i});
    if (i == 990) ghost.set_capacity(200);
  }
  int remembered = 0;
  for (std::uint32_t i = 936; i < 1'000; ++i) {
    const auto note = ghost.take(hashes[i]);
    if (!note) continue;
    ++remembered;
    EXPECT_EQ(note->stamp, i);
    EXPECT_EQ(note->from_main, i % 2 == 1);
  }
  EXPECT_GE(remembered, 50);
  for (std::uint32_t i = 936; i < 1'000; ++i) EXPECT_FALSE(ghost.take(hashes[i]));
  for (std::uint32_t i = 0; i < 500; ++i) EXPECT_FALSE(ghost.take(hashes[i]));
}

TEST(QueueBalance, RoomGoesToTheQueueThatLostTooEarly) {
  QueueBalance balance;
  balance.set_capacity(1'000);
  EXPECT_DOUBLE_EQ(balance.small_max(), 100);
  const auto soon = balance.lose(false, 1);
  balance.regret(soon, 1);
  const double step = balance.small_max() - 100;
  EXPECT_GT(step, 0);
  // The further off, the less it would have cost to be wrong.
  const auto late = balance.lose(false, 1);
  for (int i = 0; i < 500; ++i) balance.lose(false, 1);
  balance.regret(late, 1);
  EXPECT_LT(balance.small_max() - 100 - step, step / 10);
  for (int i = 0; i < 1'000; ++i) balance.regret(balance.lose(true, 1), 1);
  EXPECT_DOUBLE_EQ(balance.small_max(), 10);
  for (int i = 0; i < 1'000; ++i) balance.regret(balance.lose(false, 1), 1);
  EXPECT_DOUBLE_EQ(balance.small_max(), 900);
  balance.set_capacity(10);
  EXPECT_DOUBLE_EQ(balance.small_max(), 9);
  EXPECT_DOUBLE_EQ(balance.main_max(), 1);
}

}  // namespace
}  // namespace varve::cache
