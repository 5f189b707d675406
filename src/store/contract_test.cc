// The contract of ObjectStore, held against every implementation and wrapper.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <limits>
#include <map>
#include <thread>

#include "base/manual_clock.h"
#include "store/fault.h"
#include "store/local_store.h"
#include "store/memory_store.h"
#include "store/meter.h"
#include "store/object_store.h"
#include "store/retry.h"
#include "store/test_stores.h"

namespace varve::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Bench {
  TempDir directory{Medium::memory};
  base::ManualClock clock;
  base::Random random{1};

  std::shared_ptr<ObjectStore> local() {
    return *open_local_store(directory.path("store"), base::Random(2), clock);
  }
};

struct Case {
  const char* name;
  std::function<std::shared_ptr<ObjectStore>(Bench&)> make;
};

class Contract : public ::testing::TestWithParam<Case> {
 protected:
  Bench bench_;
  std::shared_ptr<ObjectStore> store_ = GetParam().make(bench_);

  std::map<std::uint64_t, std::string> read_all(const std::vector<ReadRequest>& requests) {
    std::map<std::uint64_t, std::string> texts;
    const auto batch = store_->read(requests, kNever);
    while (auto result = batch->next()) texts[result->tag] = text_of(result->bytes);
    EXPECT_FALSE(batch->next());
    return texts;
  }

  std::string read_one(const std::string& key, std::uint64_t offset, std::uint64_t size) {
    return read_all({{key, offset, size, 0}})[0];
  }

  std::vector<std::string> keys(std::string_view prefix = "", std::string_view start_after = "",
                                std::uint32_t limit = 1000) {
    const auto page = store_->list(prefix, start_after, limit, kNever);
    EXPECT_TRUE(page) << page.error().message;
    std::vector<std::string> found;
    for (const auto& entry : page->entries) found.push_back(entry.key);
    return found;
  }

  // Runs `attempt` in 32 threads and counts the successes; every other must be a conflict.
  int winners(const std::function<Result<Etag>(int)>& attempt) {
    std::atomic<int> won = 0, lost = 0;
    std::latch start(32);
    std::vector<std::thread> threads;
    for (int i = 0; i < 32; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        const auto result = attempt(i);
        if (result) ++won;
        if (!result && result.error().kind == ErrorKind::conflict) ++lost;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(won + lost, 32);
    return won;
  }
};

TEST_P(Contract, AnObjectIsReadAsItWasWritten) {
  EXPECT_EQ(text_of(*store_, "a/b"), "<none>");
  const auto etag = create(*store_, "a/b", "hello");
  ASSERT_TRUE(etag) << etag.error().message;
  const auto object = store_->get("a/b", kNever);
  ASSERT_TRUE(object && *object);
  EXPECT_EQ(base::as_text((*object)->bytes), "hello");
  EXPECT_EQ((*object)->etag, *etag);
}

TEST_P(Contract, ASecondCreateIsAConflictAndWritesNothing) {
  ASSERT_TRUE(create(*store_, "a", "first"));
  EXPECT_EQ(kind_of(create(*store_, "a", "second")), "conflict");
  EXPECT_EQ(kind_of(create(*store_, "a", "first")), "conflict");
  EXPECT_EQ(text_of(*store_, "a"), "first");
}

TEST_P(Contract, OneOf32RacingCreatesWins) {
  for (int round = 0; round < 20; ++round) {
    const std::string key = fmt::format("race/{}/x", round);
    std::atomic<int> winner = -1;
    EXPECT_EQ(winners([&](int i) {
                auto result = create(*store_, key, fmt::format("from {}", i));
                if (result) winner = i;
                return result;
              }),
              1);
    EXPECT_EQ(text_of(*store_, key), fmt::format("from {}", winner.load()));
  }
}

TEST_P(Contract, OneOf32RacingReplacesOnOneEtagWins) {
  auto etag = *create(*store_, "head", "start");
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(winners([&](int i) {
                return replace(*store_, "head", fmt::format("{}.{}", round, i), etag);
              }),
              1);
    const auto object = **store_->get("head", kNever);
    EXPECT_NE(object.etag, etag);
    EXPECT_TRUE(base::as_text(object.bytes).starts_with(fmt::format("{}.", round)));
    etag = object.etag;
  }
}

TEST_P(Contract, ReplaceNeedsTheEtagOfTheLastWrite) {
  const auto first = *create(*store_, "a", "1");
  const auto second = replace(*store_, "a", "2", first);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(kind_of(replace(*store_, "a", "3", first)), "conflict");
  EXPECT_EQ(text_of(*store_, "a"), "2");
  EXPECT_EQ(kind_of(replace(*store_, "a", "3", *second)), "ok");
  EXPECT_EQ(text_of(*store_, "a"), "3");
}

TEST_P(Contract, ReplaceOfAMissingKeyIsAConflict) {
  const auto etag = *create(*store_, "a", "1");
  EXPECT_EQ(kind_of(replace(*store_, "b/c", "2", etag)), "conflict");
  EXPECT_EQ(text_of(*store_, "b/c"), "<none>");
  ASSERT_TRUE(store_->remove(std::vector<std::string>{"a"}, kNever));
  EXPECT_EQ(kind_of(replace(*store_, "a", "2", etag)), "conflict");
  EXPECT_EQ(text_of(*store_, "a"), "<none>");
}

TEST_P(Contract, ARewriteOfTheSameStateRefusesTheOldEtag) {
  const auto first = *create(*store_, "a", "state A, nonce 1");
  const auto second = *replace(*store_, "a", "state B, nonce 2", first);
  ASSERT_TRUE(replace(*store_, "a", "state A, nonce 3", second));
  EXPECT_EQ(kind_of(replace(*store_, "a", "state C, nonce 4", first)), "conflict");
  EXPECT_EQ(text_of(*store_, "a"), "state A, nonce 3");
}

TEST_P(Contract, ARemovedKeyCanBeCreatedAgain) {
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(create(*store_, "deep/er/key", fmt::format("{}", round)));
    ASSERT_TRUE(store_->remove(std::vector<std::string>{"deep/er/key"}, kNever));
    EXPECT_EQ(text_of(*store_, "deep/er/key"), "<none>");
    EXPECT_THAT(keys(), IsEmpty());
  }
}

TEST_P(Contract, RemoveIsIdempotentAndTakesManyKeys) {
  std::vector<std::string> some;
  for (int i = 0; i < 200; ++i) {
    some.push_back(fmt::format("d/{}/{}", i % 7, i));
    ASSERT_TRUE(create(*store_, some.back(), "x"));
  }
  ASSERT_TRUE(create(*store_, "d/keep", "x"));
  some.push_back("never/was");
  some.push_back(some.front());
  EXPECT_TRUE(store_->remove(some, kNever));
  EXPECT_TRUE(store_->remove(some, kNever));
  EXPECT_TRUE(store_->remove({}, kNever));
  EXPECT_THAT(keys(), ElementsAre("d/keep"));
}

TEST_P(Contract, RangesAreExact) {
  ASSERT_TRUE(create(*store_, "a", "0123456789"));
  EXPECT_EQ(read_one("a", 0, 10), "0123456789");
  EXPECT_EQ(read_one("a", 3, 4), "3456");
  EXPECT_EQ(read_one("a", 9, 1), "9");
  EXPECT_EQ(read_one("a", 5, 0), "");
  EXPECT_EQ(read_one("a", 10, 0), "");
}

TEST_P(Contract, ARangePastTheEndIsInvalid) {
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  ASSERT_TRUE(create(*store_, "a", "0123456789"));
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges = {
      {0, 11},        {10, 1},        {11, 0},    {kHuge, 1},    {1, kHuge},
      {kHuge, kHuge}, {kHuge - 4, 5}, {kHuge, 0}, {5, kHuge - 4}};
  for (const auto& [offset, size] : ranges) {
    EXPECT_EQ(read_one("a", offset, size), "<invalid>") << offset << "+" << size;
  }
}

TEST_P(Contract, AnEmptyObjectIsAnObject) {
  const auto etag = create(*store_, "empty", "");
  ASSERT_TRUE(etag);
  EXPECT_EQ(text_of(*store_, "empty"), "");
  EXPECT_EQ(read_one("empty", 0, 0), "");
  EXPECT_EQ(read_one("empty", 0, 1), "<invalid>");
  EXPECT_EQ(kind_of(create(*store_, "empty", "x")), "conflict");
  EXPECT_EQ(kind_of(replace(*store_, "empty", "x", *etag)), "ok");
}

TEST_P(Contract, ABatchAnswersEachRequestOnItsOwn) {
  ASSERT_TRUE(create(*store_, "a", "aaaa"));
  ASSERT_TRUE(create(*store_, "b", "0123"));
  const auto texts = read_all({{"b", 2, 2, 10},
                               {"missing", 0, 1, 11},
                               {"a", 0, 1, 12},
                               {"../etc", 0, 1, 13},
                               {"b", 0, 9, 14},
                               {"b", 0, 2, 15}});
  EXPECT_THAT(texts, ElementsAre(std::pair(10, "23"), std::pair(11, "<not_found>"),
                                 std::pair(12, "a"), std::pair(13, "<invalid>"),
                                 std::pair(14, "<invalid>"), std::pair(15, "01")));
  EXPECT_THAT(read_all({}), IsEmpty());
}

TEST_P(Contract, ABatchKeepsTagsThatAreUsedTwice) {
  ASSERT_TRUE(create(*store_, "a", "0123"));
  const std::vector<ReadRequest> requests = {{"a", 0, 1, 7}, {"a", 1, 1, 7}};
  const auto batch = store_->read(requests, kNever);
  std::string both;
  while (auto result = batch->next()) {
    EXPECT_EQ(result->tag, 7U);
    both += text_of(result->bytes);
  }
  std::sort(both.begin(), both.end());
  EXPECT_EQ(both, "01");
}

TEST_P(Contract, ABatchMayBeDroppedHalfWay) {
  ASSERT_TRUE(create(*store_, "a", "0123"));
  auto batch = store_->read(std::vector<ReadRequest>{{"a", 0, 1, 0}, {"a", 1, 1, 1}}, kNever);
  EXPECT_TRUE(batch->next());
}

TEST_P(Contract, ReadBuffersStandOnCacheLines) {
  ASSERT_TRUE(create(*store_, "a", std::string(100'000, 'x')));
  const auto batch = store_->read(std::vector<ReadRequest>{{"a", 0, 100'000, 0}}, kNever);
  const auto result = batch->next();
  ASSERT_TRUE(result && result->bytes);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(result->bytes->data()) % base::kBufferAlign, 0U);
}

TEST_P(Contract, AListIsInByteOrderOfTheWholeKey) {
  // '-' < '.' < '/' < '0': folders must not be sorted by their bare name.
  const std::vector<std::string> sorted = {"A",   "a-b",   "a-b.c/d", "a.b",
                                           "a/b", "a/b.c", "a0",      "b/c/d"};
  auto shuffled = sorted;
  std::rotate(shuffled.begin(), shuffled.begin() + 3, shuffled.end());
  for (const auto& key : shuffled) ASSERT_TRUE(create(*store_, key, "12345")) << key;
  EXPECT_EQ(keys(), sorted);
  EXPECT_EQ(store_->list("", "", 1, kNever)->entries[0].size, 5U);
}

TEST_P(Contract, AListHonoursPrefixStartLimitAndMore) {
  std::vector<std::string> all = {"a", "a-b", "a.b", "aa", "b.c", "b/c/d", "b/c/e", "b/cc/f", "c"};
  for (const auto& key : all) ASSERT_TRUE(create(*store_, key, "x")) << key;
  const std::vector<std::string> texts = {"",    "a",    "a-",    "b",   "b/",
                                          "b/c", "b/c/", "b/c/d", "b/d", "zz",
                                          "../", "a-b0", "b/c/e", "/",   "b//"};
  for (const auto& prefix : texts) {
    for (const auto& start_after : texts) {
      std::vector<std::string> expected;
      for (const auto& key : all) {
        if (key.starts_with(prefix) && key > start_after) expected.push_back(key);
      }
      EXPECT_EQ(keys(prefix, start_after), expected) << prefix << " after " << start_after;
      for (std::uint32_t limit : {1U, 2U, 5U}) {
        const auto page = *store_->list(prefix, start_after, limit, kNever);
        EXPECT_EQ(page.entries.size(), std::min<std::size_t>(limit, expected.size()));
        EXPECT_EQ(page.more, expected.size() > limit) << prefix << " after " << start_after;
      }
    }
  }
  EXPECT_EQ(kind_of(store_->list("", "", 0, kNever)), "invalid");
}

TEST_P(Contract, PagesOfAListJoinWithoutGapOrRepetition) {
  std::vector<std::string> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(fmt::format("{}/{:03}{}", i % 3, i, i % 2 ? "/x" : ""));
    ASSERT_TRUE(create(*store_, all.back(), "x"));
  }
  std::sort(all.begin(), all.end());
  std::vector<std::string> joined;
  for (bool more = true; more;) {
    const auto page = *store_->list("", joined.empty() ? "" : joined.back(), 7, kNever);
    for (const auto& entry : page.entries) joined.push_back(entry.key);
    more = page.more;
  }
  EXPECT_EQ(joined, all);
}

TEST_P(Contract, BadKeysAreInvalidEverywhere) {
  const std::vector<std::string> bad = {"",
                                        "/",
                                        "/a",
                                        "a/",
                                        "a//b",
                                        ".",
                                        "..",
                                        "a/..",
                                        "../a",
                                        "a/.",
                                        "a b",
                                        "a\n",
                                        "\xC3\xA4",
                                        std::string("a\0b", 3),
                                        "a\\b",
                                        "a*",
                                        "~",
                                        ".tmp/x",
                                        ".tmp",
                                        ".locks/00",
                                        std::string(513, 'a'),
                                        "a?b",
                                        "a%2fb",
                                        "a:b",
                                        "%2e%2e/etc/",
                                        "a/./../../",
                                        std::string(256, 'a')};
  for (const auto& key : bad) {
    EXPECT_EQ(kind_of(store_->get(key, kNever)), "invalid") << key;
    EXPECT_EQ(kind_of(create(*store_, key, "x")), "invalid") << key;
    EXPECT_EQ(kind_of(replace(*store_, key, "x", Etag{"e"})), "invalid") << key;
    EXPECT_EQ(read_one(key, 0, 1), "<invalid>") << key;
    EXPECT_EQ(kind_of(store_->remove(std::vector<std::string>{"a", key}, kNever)), "invalid");
  }
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_P(Contract, KeysOfTheLongestKindWork) {
  const std::string longest = std::string(255, 'c') + '/' + std::string(254, 'd') + "/e";
  ASSERT_EQ(longest.size(), 512U);
  for (const auto& name : {longest, std::string("..."), std::string(".hidden/.tmp")}) {
    EXPECT_EQ(kind_of(create(*store_, name, "x")), "ok") << name;
    EXPECT_EQ(text_of(*store_, name), "x") << name;
  }
  EXPECT_EQ(keys().size(), 3U);
}

TEST_P(Contract, APassedDeadlineIsCancelledAndWritesNothing) {
  const auto etag = *create(*store_, "a", "1");
  const auto passed = base::Deadline(bench_.clock.now());
  EXPECT_EQ(kind_of(store_->get("a", passed)), "cancelled");
  EXPECT_EQ(kind_of(store_->create("b", {}, passed)), "cancelled");
  EXPECT_EQ(kind_of(store_->replace("a", {}, etag, passed)), "cancelled");
  EXPECT_EQ(kind_of(store_->list("", "", 10, passed)), "cancelled");
  EXPECT_EQ(kind_of(store_->remove(std::vector<std::string>{"a"}, passed)), "cancelled");
  const auto batch = store_->read(std::vector<ReadRequest>{{"a", 0, 1, 0}}, passed);
  EXPECT_EQ(text_of(batch->next()->bytes), "<cancelled>");
  EXPECT_EQ(text_of(*store_, "a"), "1");
  EXPECT_THAT(keys(), ElementsAre("a"));
}

TEST_P(Contract, WritersAndRemoversOfOneFolderDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const std::string key = fmt::format("x/y/z/{}-{}", t, i);
        if (!create(*store_, key, "x") || text_of(*store_, key) != "x") ++failures;
        if (!store_->remove(std::vector<std::string>{key}, kNever)) ++failures;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_THAT(keys(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Stores, Contract,
    ::testing::Values(
        Case{"memory", [](Bench& b) { return make_memory_store(b.clock); }},
        Case{"local", [](Bench& b) { return b.local(); }},
        Case{"meter_of_memory",
             [](Bench& b) { return std::make_shared<MeterStore>(make_memory_store(b.clock)); }},
        Case{"retry_of_memory",
             [](Bench& b) {
               return std::make_shared<RetryStore>(make_memory_store(b.clock), b.clock, b.random);
             }},
        Case{"fault_free_fault_of_local",
             [](Bench& b) {
               return std::make_shared<FaultStore>(b.local(), b.clock, 3, FaultPlan{});
             }}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace varve::store
