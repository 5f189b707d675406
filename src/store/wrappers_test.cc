// Meter, retry and fault, and their compositions, on a clock that moves only when told.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <set>

#include "base/manual_clock.h"
#include "store/fault.h"
#include "store/memory_store.h"
#include "store/meter.h"
#include "store/retry.h"
#include "store/test_stores.h"

namespace varve::store {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

struct Rig {
  explicit Rig(std::uint64_t seed = 1) : random(seed) {}

  base::ManualClock clock;
  base::Random random;
  std::shared_ptr<MemoryStore> memory = make_memory_store(clock);

  std::shared_ptr<FaultStore> fault(const FaultPlan& plan, std::uint64_t seed = 1) {
    return std::make_shared<FaultStore>(memory, clock, seed, plan);
  }
  std::shared_ptr<RetryStore> retry(std::shared_ptr<ObjectStore> inner,
                                    const RetryOptions& options = {}) {
    return std::make_shared<RetryStore>(std::move(inner), clock, random, options);
  }
};

std::vector<std::string> drain(ReadBatch& batch) {
  std::vector<std::string> texts;
  while (auto result = batch.next()) {
    texts.push_back(fmt::format("{}={}", result->tag, text_of(result->bytes)));
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

TEST(MemoryStore, ACopyIsIndependent) {
  const auto store = make_memory_store();
  const auto etag = *create(*store, "a", "1");
  const auto other = store->copy();
  ASSERT_TRUE(replace(*other, "a", "2", etag));
  ASSERT_TRUE(create(*store, "b", "3"));
  EXPECT_EQ(text_of(*store, "a"), "1");
  EXPECT_EQ(text_of(*other, "a"), "2");
  EXPECT_EQ(text_of(*other, "b"), "<none>");
  EXPECT_EQ(store->objects().size(), 2U);
  EXPECT_EQ(store->objects().at("a").etag, etag);
}

TEST(MemoryStore, EtagsNeverRepeatForEqualBytes) {
  const auto store = make_memory_store();
  std::set<std::string> seen;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(seen.insert(create(*store, "a", "same")->value).second);
    ASSERT_TRUE(store->remove(std::vector<std::string>{"a"}, kNever));
  }
}

TEST(Meter, CountsRequestsBytesAndErrors) {
  MeterStore store(make_memory_store());
  const auto etag = *create(store, "a", "12345");
  const auto before = store.usage();
  (void)create(store, "a", "1234567");
  (void)replace(store, "a", "123", etag);
  (void)store.get("a", kNever);
  (void)store.get("b", kNever);
  auto batch =
      store.read(std::vector<ReadRequest>{{"a", 0, 2, 0}, {"a", 9, 9, 1}, {"b", 0, 0, 2}}, kNever);
  drain(*batch);
  (void)store.list("", "", 1, kNever);
  (void)store.remove(std::vector<std::string>{"a", "b", "c"}, kNever);
  Usage expected;
  expected.gets = 2;
  expected.reads = 3;
  expected.creates = 1;
  expected.replaces = 1;
  expected.lists = 1;
  expected.removes = 3;
  expected.bytes_in = 3 + 2;
  expected.bytes_out = 7 + 3;
  expected.errors[static_cast<std::size_t>(ErrorKind::conflict)] = 1;
  expected.errors[static_cast<std::size_t>(ErrorKind::invalid)] = 1;
  expected.errors[static_cast<std::size_t>(ErrorKind::not_found)] = 1;
  const Usage change = store.usage() - before;
  EXPECT_EQ(change, expected);
  EXPECT_EQ(change.requests(), 11U);
  EXPECT_EQ(change.errors_of(ErrorKind::conflict), 1U);
}

TEST(Retry, RepeatsReadsUntilTheySucceed) {
  Rig rig;
  ASSERT_TRUE(create(*rig.memory, "a", "0123"));
  const auto fault = rig.fault({.fail_before = 0.3, .truncate_read = 0.2});
  const auto store = rig.retry(fault, {.tries_max = 100});
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(text_of(*store, "a"), "0123");
    EXPECT_EQ(store->list("", "", 10, kNever)->entries.size(), 1U);
    auto batch = store->read(
        std::vector<ReadRequest>{{"a", 0, 1, 1}, {"a", 1, 2, 2}, {"b", 0, 1, 3}, {"a", 3, 1, 1}},
        kNever);
    EXPECT_THAT(drain(*batch), ::testing::ElementsAre("1=0", "1=3", "2=12", "3=<not_found>"));
  }
  EXPECT_GT(fault->counts().failed_before, 100U);
  EXPECT_GT(fault->counts().truncated, 50U);
}

TEST(Retry, RepeatsRemove) {
  Rig rig;
  const auto fault = rig.fault({.fail_before = 0.2, .lose_answer = 0.2, .partial_remove = 0.3});
  const auto store = rig.retry(fault, {.tries_max = 100});
  const std::vector<std::string> keys = {"a", "b", "c"};
  for (int i = 0; i < 100; ++i) {
    for (const auto& key : keys) ASSERT_TRUE(create(*rig.memory, key, "x"));
    ASSERT_TRUE(store->remove(keys, kNever));
    EXPECT_TRUE(rig.memory->objects().empty());
  }
  EXPECT_GT(fault->counts().partial_removes, 10U);
  EXPECT_GT(fault->counts().lost_answers, 10U);
}

TEST(Retry, GivesUpAfterTheTriesAndSaysHowMany) {
  Rig rig;
  const auto fault = rig.fault({.fail_before = 1});
  const auto store = rig.retry(fault, {.tries_max = 5});
  const auto result = store->get("a", kNever);
  EXPECT_EQ(kind_of(result), "unavailable");
  EXPECT_THAT(result.error().message, HasSubstr("after 5 tries: "));
  EXPECT_EQ(fault->counts().failed_before, 5U);
  auto batch = store->read(std::vector<ReadRequest>{{"a", 0, 1, 1}, {"b", 0, 1, 2}}, kNever);
  EXPECT_THAT(drain(*batch), ::testing::ElementsAre("1=<unavailable>", "2=<unavailable>"));
  EXPECT_EQ(fault->counts().failed_before, 5U + 2 * 5U);
}

TEST(Retry, WaitsWithGrowingJitterWithinItsBounds) {
  base::Duration longest{0};
  base::Duration total{0};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rig rig(seed);
    const auto start = rig.clock.now();
    (void)rig.retry(rig.fault({.fail_before = 1}), {.tries_max = 4})->get("a", kNever);
    longest = std::max<base::Duration>(longest, rig.clock.now() - start);
    total += rig.clock.now() - start;
  }
  // Ceilings 50, 100, 200 ms: at most 350 ms, 175 ms on average.
  EXPECT_LE(longest, 350ms);
  EXPECT_GT(longest, 280ms);
  EXPECT_NEAR(static_cast<double>(total.count()) / 200 / 1e6, 175, 15);
}

TEST(Retry, StopsBeforeTheDeadline) {
  Rig rig;
  const auto fault = rig.fault({.fail_before = 1});
  const auto store = rig.retry(fault, {.tries_max = 1000});
  const auto deadline = base::Deadline::after(rig.clock, 1s);
  EXPECT_EQ(kind_of(store->get("a", deadline)), "unavailable");
  EXPECT_LT(rig.clock.now(), deadline.at());
  EXPECT_GT(fault->counts().failed_before, 1U);
  EXPECT_LT(fault->counts().failed_before, 100U);
}

TEST(Retry, RepeatsNoWriteAndNoOtherError) {
  Rig rig;
  const auto etag = *create(*rig.memory, "a", "1");
  const auto fault = rig.fault({.lose_answer = 1});
  const auto meter = std::make_shared<MeterStore>(fault);
  const auto store = rig.retry(meter);
  EXPECT_EQ(kind_of(create(*store, "b", "2")), "unavailable");
  EXPECT_EQ(kind_of(replace(*store, "a", "3", etag)), "unavailable");
  EXPECT_EQ(kind_of(store->get("/", kNever)), "invalid");
  EXPECT_EQ(meter->usage().requests(), 3U);
  EXPECT_EQ(text_of(*rig.memory, "a"), "3");
}

TEST(Fault, AFailureBeforeChangesNothing) {
  Rig rig;
  const auto etag = *create(*rig.memory, "a", "1");
  const auto store = rig.fault({.fail_before = 1});
  EXPECT_EQ(kind_of(create(*store, "b", "2")), "unavailable");
  EXPECT_EQ(kind_of(replace(*store, "a", "2", etag)), "unavailable");
  EXPECT_EQ(kind_of(store->remove(std::vector<std::string>{"a"}, kNever)), "unavailable");
  EXPECT_EQ(kind_of(store->list("", "", 1, kNever)), "unavailable");
  EXPECT_EQ(text_of(*store, "a"), "<unavailable>");
  EXPECT_EQ(store->counts().failed_before, 5U);
  EXPECT_EQ(rig.memory->objects().size(), 1U);
  EXPECT_EQ(text_of(*rig.memory, "a"), "1");
}

TEST(Fault, ALostAnswerHidesWhatHappened) {
  Rig rig;
  const auto etag = *create(*rig.memory, "a", "1");
  const auto store = rig.fault({.lose_answer = 1});
  EXPECT_EQ(kind_of(create(*store, "b", "2")), "unavailable");
  EXPECT_EQ(kind_of(replace(*store, "a", "3", etag)), "unavailable");
  EXPECT_EQ(text_of(*store, "a"), "3");
  EXPECT_EQ(text_of(*store, "b"), "2");
  EXPECT_EQ(kind_of(store->remove(std::vector<std::string>{"a"}, kNever)), "unavailable");
  EXPECT_EQ(text_of(*store, "a"), "<none>");
  EXPECT_EQ(store->counts().lost_answers, 3U);
}

TEST(Fault, ALateWriteArrivesAfterFurtherRequests) {
  Rig rig;
  const auto store = rig.fault({.land_late = 1, .late_requests_max = 5});
  EXPECT_EQ(kind_of(create(*store, "a", "late")), "unavailable");
  EXPECT_EQ(text_of(*rig.memory, "a"), "<none>");
  int requests = 0;
  while (text_of(*store, "a") == "<none>" && requests < 10) ++requests;
  EXPECT_LE(requests, 5);
  EXPECT_EQ(text_of(*rig.memory, "a"), "late");
  EXPECT_EQ(store->counts().held_late, 1U);
  EXPECT_EQ(store->counts().landed_late, 1U);
}

TEST(Fault, ALateWriteKeepsItsCondition) {
  Rig rig;
  const auto etag = *create(*rig.memory, "head", "0");
  const auto store = rig.fault({.land_late = 1, .late_requests_max = 1000});
  EXPECT_FALSE(create(*store, "a", "late"));
  EXPECT_FALSE(create(*store, "b", "late"));
  EXPECT_FALSE(replace(*store, "head", "late", etag));
  ASSERT_TRUE(create(*rig.memory, "a", "early"));
  const auto second = *replace(*rig.memory, "head", "1", etag);
  EXPECT_FALSE(replace(*store, "head", "2", second));
  store->flush_late();
  store->flush_late();
  EXPECT_EQ(text_of(*rig.memory, "a"), "early");
  EXPECT_EQ(text_of(*rig.memory, "b"), "late");
  EXPECT_EQ(text_of(*rig.memory, "head"), "2");
  EXPECT_EQ(store->counts().landed_late, 2U);
  EXPECT_EQ(store->counts().refused_late, 2U);
}

TEST(Fault, ACorruptReadFlipsOneBit) {
  Rig rig;
  ASSERT_TRUE(create(*rig.memory, "a", "0123456789"));
  ASSERT_TRUE(create(*rig.memory, "empty", ""));
  const auto store = rig.fault({.corrupt_read = 1});
  const auto flipped_bits = [](std::string_view text) {
    int bits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      bits += std::popcount(static_cast<unsigned char>(text[i] ^ "0123456789"[i]));
    }
    return bits;
  };
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    const auto text = text_of(*store, "a");
    EXPECT_EQ(flipped_bits(text), 1);
    seen.insert(text);
    const auto batch = store->read(std::vector<ReadRequest>{{"a", 0, 10, 0}}, kNever);
    EXPECT_EQ(flipped_bits(text_of(batch->next()->bytes)), 1);
  }
  EXPECT_GT(seen.size(), 20U);
  EXPECT_EQ(text_of(*store, "empty"), "");
  EXPECT_EQ(store->counts().corrupted, 100U);
  EXPECT_EQ(text_of(*rig.memory, "a"), "0123456789");
}

TEST(Fault, ATruncatedReadIsAnErrorNeverShort) {
  Rig rig;
  ASSERT_TRUE(create(*rig.memory, "a", "0123456789"));
  const auto store = rig.fault({.truncate_read = 1});
  EXPECT_EQ(text_of(*store, "a"), "<unavailable>");
  const auto batch = store->read(std::vector<ReadRequest>{{"a", 0, 10, 0}}, kNever);
  EXPECT_EQ(text_of(batch->next()->bytes), "<unavailable>");
  EXPECT_EQ(store->counts().truncated, 2U);
}

TEST(Fault, DelaysPassOnTheClock) {
  Rig rig;
  const auto store = rig.fault({.delay = 1, .delay_max = 10ms});
  const auto start = rig.clock.now();
  for (int i = 0; i < 100; ++i) (void)store->get("a", kNever);
  EXPECT_EQ(store->counts().delayed, 100U);
  EXPECT_GT(rig.clock.now() - start, 300ms);
  EXPECT_LT(rig.clock.now() - start, 700ms);
}

TEST(Fault, TheFilterSparesKeys) {
  Rig rig;
  const auto store = rig.fault(
      {.fail_before = 1, .applies_to = [](std::string_view key) { return key == "bad"; }});
  EXPECT_EQ(kind_of(create(*store, "good", "1")), "ok");
  EXPECT_EQ(kind_of(create(*store, "bad", "1")), "unavailable");
  store->set_plan({});
  EXPECT_EQ(kind_of(create(*store, "bad", "1")), "ok");
}

TEST(Fault, TheSameSeedGivesTheSameRun) {
  const auto trace = [](std::uint64_t seed) {
    Rig rig;
    const auto store = rig.fault({.delay = 0.2,
                                  .fail_before = 0.1,
                                  .lose_answer = 0.1,
                                  .land_late = 0.2,
                                  .partial_remove = 0.2,
                                  .corrupt_read = 0.1,
                                  .truncate_read = 0.1},
                                 seed);
    std::string lines;
    for (int i = 0; i < 500; ++i) {
      const std::string key = fmt::format("k{}", i % 17);
      lines +=
          kind_of(create(*store, key, fmt::format("{}", i))) + ' ' + text_of(*store, key) + ' ';
      const auto object = rig.memory->get(key, kNever);
      const auto etag = *object ? (*object)->etag : Etag{};
      lines += kind_of(replace(*store, key, fmt::format("r{}", i), etag)) + ' ';
      if (i % 5 == 0) lines += kind_of(store->remove(std::vector<std::string>{key, "k1"}, kNever));
      lines += fmt::format(" {}\n", rig.clock.now().time_since_epoch().count());
    }
    const auto counts = store->counts();
    for (const auto count : {counts.delayed, counts.failed_before, counts.lost_answers,
                             counts.held_late, counts.landed_late, counts.refused_late,
                             counts.partial_removes, counts.corrupted, counts.truncated}) {
      EXPECT_GT(count, 0U);
    }
    return lines;
  };
  EXPECT_EQ(trace(1), trace(1));
  EXPECT_NE(trace(1), trace(2));
}

}  // namespace
}  // namespace varve::store
