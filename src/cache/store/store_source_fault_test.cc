// Sources on stores that fail, and processes that stop in the middle.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "base/random.h"
#include "cache/store/test_origin.h"
#include "store/fault.h"
#include "store/memory_store.h"

namespace varve::cache::packs {
namespace {

// After so many writes nothing works any more, as for a process that died. Of the last write a part
// may be done.
class StoppingStore final : public store::ObjectStore {
 public:
  StoppingStore(std::shared_ptr<store::ObjectStore> inner, int writes, std::uint64_t seed)
      : inner_(std::move(inner)), left_(writes), random_(seed) {}

  bool stopped() const { return left_ < 0; }

  Result<std::optional<store::Object>> get(std::string_view key, base::Deadline d) override {
    if (stopped()) return dead();
    return inner_->get(key, d);
  }
  std::unique_ptr<store::ReadBatch> read(std::span<const store::ReadRequest> requests,
                                         base::Deadline d) override {
    return inner_->read(requests, d);
  }
  Result<store::Etag> create(std::string_view key, base::ByteSpan bytes,
                             base::Deadline d) override {
    if (--left_ >= 0) return inner_->create(key, bytes, d);
    if (left_ == -1 && random_.below(2) == 0) static_cast<void>(inner_->create(key, bytes, d));
    return dead();
  }
  Result<store::Etag> replace(std::string_view, base::ByteSpan, const store::Etag&,
                              base::Deadline) override {
    return dead();
  }
  Result<store::ListPage> list(std::string_view prefix, std::string_view after, std::uint32_t limit,
                               base::Deadline d) override {
    if (stopped()) return dead();
    return inner_->list(prefix, after, limit, d);
  }
  Status remove(std::span<const std::string> keys, base::Deadline d) override {
    if (--left_ >= 0) return inner_->remove(keys, d);
    if (left_ < -1) return dead();
    std::vector<std::string> some(keys.begin(), keys.end());
    std::erase_if(some, [this](const auto&) { return random_.below(2) == 0; });
    static_cast<void>(inner_->remove(some, d));
    return dead();
  }

 private:
  static tl::unexpected<Error> dead() { return fail(ErrorKind::unavailable, "stopped"); }
  std::shared_ptr<store::ObjectStore> inner_;
  int left_;
  base::Random random_;
};

// A history of packs with old values, removals and a merge.
std::map<std::string, std::string> write_history(StoreSource& source, base::ManualClock& clock,
                                                 base::Random& random) {
  std::map<std::string, std::string> truth;
  for (int i = 0; i < 60; ++i) {
    clock.advance(std::chrono::milliseconds(1));
    std::map<std::string, std::string> some;
    for (int j = 0; j < 3; ++j) {
      some[fmt::format("key-{}", random.below(25))] = fmt::format("{}-{}", i, j);
    }
    EXPECT_TRUE(put_all(source, some));
    for (const auto& [key, value] : some) truth[key] = value;
    const std::string removed = fmt::format("key-{}", random.below(25));
    EXPECT_TRUE(remove_one(source, removed));
    truth[removed] = "<none>";
    if (i == 30) {
      EXPECT_TRUE(source.compact());
    }
    if (i == 45) clock.advance(kLateMax * 2);
  }
  return truth;
}

TEST(StoreSourceFault, CompactionMayStopAtEachStep) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U}) {
    bool went_through = false;
    for (int writes = 0; !went_through; ++writes) {
      SCOPED_TRACE(fmt::format("seed {}, {} writes", seed, writes));
      base::ManualClock clock(kStart);
      base::Random random(seed);
      const auto store = store::make_memory_store(clock);
      const StoreSourceOptions options{.pack_bytes = 700};
      const auto truth = write_history(*open_origin(store, clock, options), clock, random);
      const auto reader = open_origin(store, clock, options);
      const auto stopping = std::make_shared<StoppingStore>(store, writes, seed);
      const auto source = open_origin(stopping, clock, options);
      static_cast<void>(source->compact());
      went_through = !stopping->stopped();
      ASSERT_EQ(load_all(*reader, truth), truth);
      ASSERT_EQ(load_all(*open_origin(store, clock, options), truth), truth);
      // The next process merges what the stop left, removals that nobody needs any more included.
      clock.advance(kLateMax * 2);
      const auto next = open_origin(store, clock, options);
      ASSERT_TRUE(next->compact());
      ASSERT_EQ(load_all(*next, truth), truth);
      ASSERT_TRUE(next->compact());
      ASSERT_EQ(load_all(*open_origin(store, clock, options), truth), truth);
    }
  }
}

TEST(StoreSourceFault, RandomOperationsEqualAModel) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U, 6U}) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    base::Random random(seed);
    base::ManualClock clock(kStart);
    const store::FaultPlan plan{.fail_before = 0.03,
                                .lose_answer = 0.03,
                                .land_late = 0.03,
                                .partial_remove = 0.05,
                                .corrupt_read = 0.02,
                                .truncate_read = 0.02};
    const store::FaultPlan rough{.fail_before = 0.25, .lose_answer = 0.25, .land_late = 0.25};
    const store::FaultPlan calm{.lose_answer = 0.05, .partial_remove = 0.3};
    const auto faults = std::make_shared<store::FaultStore>(store::make_memory_store(clock), clock,
                                                            seed, store::FaultPlan{});
    const StoreSourceOptions options{.pack_bytes = 2'000, .timeout = std::chrono::milliseconds(12)};
    auto source = open_origin(faults, clock, options);
    // All that a key may answer: more than one after a write whose end nobody knows.
    std::map<std::string, std::set<std::string>> truth;
    int loaded = 0, failed_writes = 0, merged = 0;
    for (int step = 0; step < 4'000; ++step) {
      clock.advance(std::chrono::milliseconds(1));
      const std::uint64_t weather = random.below(3);
      faults->set_plan(weather == 0 ? plan : weather == 1 ? rough : calm);
      const std::string key = fmt::format("key-{}", random.below(40));
      auto& allowed = truth.try_emplace(key, std::set<std::string>{"<none>"}).first->second;
      const std::uint64_t action = random.below(100);
      if (action < 45) {
        const std::string got = load_one(*source, key);
        const bool is_error = got == "<unavailable>" || got == "<corrupt>" || got == "<cancelled>";
        ASSERT_TRUE(is_error || allowed.contains(got)) << step << " " << key << ": " << got;
        loaded += is_error ? 0 : 1;
      } else if (action < 75) {
        const std::string value = fmt::format("{}-{}", step, std::string(random.below(300), 'x'));
        const bool done = put_one(*source, key, value).has_value();
        if (done) allowed.clear();
        failed_writes += done ? 0 : 1;
        allowed.insert(value);
      } else if (action < 88) {
        if (remove_one(*source, key)) allowed.clear();
        allowed.insert("<none>");
      } else if (action < 93) {
        merged += source->compact() ? 1 : 0;
      } else if (action < 96) {
        static_cast<void>(source->refresh());
      } else if (action < 99) {
        faults->set_plan({});
        source.reset();
        source = open_origin(faults, clock, options);
      } else {
        faults->flush_late();
        clock.advance(kLateMax * 2);
      }
    }
    EXPECT_GT(loaded, 500);
    EXPECT_GT(failed_writes, 5);
    EXPECT_GT(merged, 5);
    const auto counts = faults->counts();
    EXPECT_GT(counts.landed_late, 0U);
    EXPECT_GT(counts.partial_removes, 0U);
    EXPECT_GT(counts.corrupted, 0U);
    faults->set_plan({});
    faults->flush_late();
    const auto last = open_origin(faults, clock, options);
    for (const auto& [key, allowed] : truth) {
      EXPECT_TRUE(allowed.contains(load_one(*last, key))) << key << ": " << load_one(*last, key);
    }
  }
}

// A put that failed lands when its key was removed and all packs were merged.
TEST(StoreSourceFault, ARemovalHidesWhatLandsLate) {
  for (const bool reopened : {false, true}) {
    base::ManualClock clock(kStart);
    const auto faults = std::make_shared<store::FaultStore>(store::make_memory_store(clock), clock,
                                                            1, store::FaultPlan{});
    auto source = open_origin(faults, clock);
    ASSERT_TRUE(put_one(*source, "other", "x"));
    faults->set_plan({.land_late = 1, .late_requests_max = 1'000'000});
    EXPECT_EQ(put_one(*source, "k", "late").error().kind, ErrorKind::unavailable);
    faults->set_plan({});
    clock.advance(std::chrono::seconds(1));
    if (reopened) source = open_origin(faults, clock);
    ASSERT_TRUE(remove_one(*source, "k"));
    ASSERT_TRUE(put_one(*source, "other", "y"));
    // The process that knows of the put waits for it however long it takes.
    if (!reopened) clock.advance(kLateMax * 2);
    ASSERT_TRUE(source->compact());
    ASSERT_TRUE(source->compact());
    faults->flush_late();
    ASSERT_EQ(faults->counts().landed_late, 1U);
    EXPECT_EQ(load_one(*open_origin(faults, clock), "k"), "<none>");
  }
}

TEST(StoreSourceFault, ThreadsReadAndWriteWhileOneMerges) {
  const auto store = store::make_memory_store();
  const StoreSourceOptions options{.pack_bytes = 4'000};
  const auto source = open_origin(store, base::system_clock(), options);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string key = fmt::format("{}-{}", t, i % 10);
        const std::string value = fmt::format("{}", i);
        EXPECT_TRUE(put_one(*source, key, value));
        EXPECT_EQ(load_one(*source, key), value);
        if (i % 7 == 0) {
          EXPECT_TRUE(remove_one(*source, key));
          EXPECT_EQ(load_one(*source, key), "<none>");
        }
      }
    });
  }
  std::thread merger([&] {
    while (!stop) EXPECT_TRUE(source->compact());
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  merger.join();
  EXPECT_TRUE(source->compact());
  EXPECT_LE(source->stats().packs, 2U);
}

}  // namespace
}  // namespace varve::cache::packs
