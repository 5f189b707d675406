// Loads that threads share, and loads that race with writes.
#include <thread>

#include "base/manual_clock.h"
#include "cache/layered/test_source.h"
#include "varve/cache/layered.h"

namespace varve::cache {
namespace {

class SharedLoads : public testing::Test {
 protected:
  SharedLoads() { open(clock_); }
  void open(base::Clock& clock) {
    options_.clock = &clock;
    std::vector<std::unique_ptr<Tier>> tiers;
    const auto now = [] { return kTestStartMs; };
    tiers.push_back(memory_tier({{std::uint64_t{1} << 20, 0}, {}, now}, "s3-fifo"));
    cache_ = make_layered_cache(std::move(tiers), source_, options_);
  }
  std::string text(const Result<Handle>& value) {
    if (!value) return std::string(to_string(value.error().kind));
    return *value ? text_of(*value) : "(none)";
  }
  std::string get(std::string_view key) { return text(cache_->get(key)); }
  Status put(std::string_view key, std::string_view value) {
    return cache_->put(key, std::as_bytes(std::span(value)), {});
  }
  std::map<std::size_t, std::string> drain(Gets& gets) {
    std::map<std::size_t, std::string> all;
    while (auto got = gets.next()) {
      EXPECT_TRUE(all.emplace(got->index, text(got->value)).second) << got->index;
    }
    return all;
  }
  // A key that waits for the same turn, and is not the same otherwise.
  static std::string neighbour_of(std::string_view key) {
    constexpr std::uint64_t kTurns = 128, kVersions = 8192;
    const std::uint64_t hash = Key(key).hash;
    for (int i = 0;; ++i) {
      std::string text = "neighbour " + std::to_string(i);
      const std::uint64_t other = Key(text).hash;
      if (other % kTurns == hash % kTurns && other % kVersions != hash % kVersions) return text;
    }
  }
  // Gets of "a" that have joined the load under way.
  void wait_for_joined(std::uint64_t count) {
    while (cache_->stats().loads_shared < count) std::this_thread::yield();
  }

  base::ManualClock clock_;
  std::shared_ptr<MapSource> source_ = std::make_shared<MapSource>();
  LayeredOptions options_;
  std::unique_ptr<LayeredCache> cache_;
};

TEST_F(SharedLoads, AskTheLastLayerOnceForAllThreads) {
  source_->set("a", "one");
  Gate gate;
  source_->stop_results_at([&](const std::string&) { gate.pass(); });
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { EXPECT_EQ(get("a"), "one"); });
  wait_for_joined(7);
  gate.open();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(source_->loads("a"), 1);
  EXPECT_EQ(cache_->stats().loads, 1U);
  EXPECT_EQ(cache_->stats().loads_shared, 7U);
}

TEST_F(SharedLoads, GoOnWithOneNewLeaderWhenTheLeaderFails) {
  source_->set("a", "one");
  source_->loads_to_fail = 1;
  Gate first, second;
  std::atomic<int> results{0};
  source_->stop_results_at([&](const std::string&) { (results++ == 0 ? first : second).pass(); });
  std::atomic<int> failed{0}, done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const std::string value = get("a");
      ++(value == "unavailable" ? failed : done);
    });
  }
  wait_for_joined(5);
  first.open();
  second.wait_for(1);
  // Who comes now joins the new leader.
  threads.emplace_back([&] { EXPECT_EQ(get("a"), "one"); });
  wait_for_joined(6);
  second.open();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(done, 5);
  EXPECT_EQ(source_->loads("a"), 2);
  EXPECT_EQ(cache_->stats().load_errors, 1U);
}

TEST_F(SharedLoads, BeginAnewAfterAFailure) {
  source_->set("a", "one");
  source_->loads_to_fail = 1;
  EXPECT_EQ(get("a"), "unavailable");
  EXPECT_EQ(get("a"), "one");
}

TEST_F(SharedLoads, DoNotMakeFollowersWaitForEver) {
  source_->set("a", "one");
  Gate gate;
  std::atomic<int> results{0};
  // Only the first load hangs.
  source_->stop_results_at([&](const std::string&) {
    if (results++ == 0) gate.pass();
  });
  std::thread leader([&] { EXPECT_EQ(get("a"), "one"); });
  gate.wait_for(1);
  std::vector<std::thread> followers;
  for (int i = 0; i < 4; ++i) followers.emplace_back([&] { EXPECT_EQ(get("a"), "one"); });
  wait_for_joined(4);
  clock_.advance(std::chrono::seconds(5));
  for (auto& follower : followers) follower.join();
  EXPECT_GE(source_->loads("a"), 2);
  // The load that takes so long is not joined any more.
  cache_->evict("a");
  EXPECT_EQ(get("a"), "one");
  gate.open();
  leader.join();
}

TEST_F(SharedLoads, GiveUpFollowersWhoseTimeIsOver) {
  source_->set("a", "one");
  Gate gate;
  source_->stop_results_at([&](const std::string&) { gate.pass(); });
  std::thread leader([&] { EXPECT_EQ(get("a"), "one"); });
  gate.wait_for(1);
  std::thread follower([&] { EXPECT_EQ(get("a"), "cancelled"); });
  wait_for_joined(1);
  clock_.advance(std::chrono::hours(1));
  follower.join();
  gate.open();
  leader.join();
}

TEST_F(SharedLoads, AnswerBatchesWithDuplicatesAndWhatIsNotThere) {
  source_->set("a", "one");
  source_->set("b", "two");
  ASSERT_TRUE(put("c", "three"));
  const std::vector<std::string_view> keys{"a", "b", "a", "nothing", "c", "a", "", "c"};
  const auto gets = cache_->get_batch(keys);
  const auto all = drain(*gets);
  const std::map<std::size_t, std::string> expected{{0, "one"},     {1, "two"},   {2, "one"},
                                                    {3, "(none)"},  {4, "three"}, {5, "one"},
                                                    {6, "invalid"}, {7, "three"}};
  EXPECT_EQ(all, expected);
  EXPECT_EQ(source_->loads("a"), 1);
  EXPECT_EQ(gets->counts().loads, 3U);
  EXPECT_EQ(gets->counts().tiers[0], 2U);
  EXPECT_EQ(get("nothing"), "(none)");
  EXPECT_EQ(source_->loads("nothing"), 1);
}

TEST_F(SharedLoads, HandOverWhatABatchDidNotPull) {
  for (const char* key : {"a", "b", "c"}) source_->set(key, key);
  const std::vector<std::string_view> keys{"a", "b", "c"};
  auto gets = cache_->get_batch(keys);
  ASSERT_TRUE(gets->next());
  std::thread follower([&] { EXPECT_EQ(get("c"), "c"); });
  wait_for_joined(1);
  gets.reset();
  follower.join();
  EXPECT_EQ(source_->loads("c"), 2);
  EXPECT_EQ(get("b"), "b");
}

TEST_F(SharedLoads, GetTwoBatchesOnThatWaitForEachOther) {
  for (const char* key : {"a", "b"}) source_->set(key, key);
  const std::vector<std::string_view> one{"a", "b"}, two{"b", "a"};
  const auto first = cache_->get_batch(std::span(one).first(1));
  const auto second = cache_->get_batch(two);  // leads b, follows a
  const auto third = cache_->get_batch(one);   // follows both
  EXPECT_EQ(drain(*first).size(), 1U);
  EXPECT_EQ(drain(*second).size(), 2U);
  const std::map<std::size_t, std::string> expected{{0, "a"}, {1, "b"}};
  EXPECT_EQ(drain(*third), expected);
}

TEST_F(SharedLoads, WaitOnceForABatchThatNobodyPulls) {
  RestlessClock clock;
  open(clock);
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i) texts.push_back("key " + std::to_string(i));
  for (const std::string& text : texts) source_->set(text, text);
  const std::vector<std::string_view> keys(texts.begin(), texts.end());
  const auto unpulled = cache_->get_batch(keys);
  const auto follower = cache_->get_batch(keys);
  const auto all = drain(*follower);
  EXPECT_EQ(all.size(), 50U);
  for (const auto& [index, value] : all) EXPECT_EQ(value, texts[index]);
  EXPECT_EQ(source_->load_calls, 2);
  EXPECT_LT(clock.wall_ms(), 10'000);
  EXPECT_EQ(follower->counts().loads, 50U);
  EXPECT_EQ(follower->counts().loads_shared, 0U);
}

TEST_F(SharedLoads, LoadWhatABatchDidNotPullTogether) {
  for (const char* key : {"a", "b", "c"}) source_->set(key, key);
  const std::vector<std::string_view> keys{"a", "b", "c"};
  auto leader = cache_->get_batch(keys);
  const auto follower = cache_->get_batch(keys);
  ASSERT_TRUE(leader->next());
  leader.reset();
  const std::map<std::size_t, std::string> expected{{0, "a"}, {1, "b"}, {2, "c"}};
  EXPECT_EQ(drain(*follower), expected);
  EXPECT_EQ(source_->load_calls, 2);
  EXPECT_EQ(follower->counts().loads, 2U);
  EXPECT_EQ(follower->counts().loads_shared, 1U);
}

TEST_F(SharedLoads, DoNotWaitForWritesOfOtherKeysForEver) {
  RestlessClock clock;
  options_.timeout = std::chrono::milliseconds(50);
  open(clock);
  source_->set("a", "one");
  Gate gate;
  source_->after_put = [&] { gate.pass(); };
  std::thread writer([&] { EXPECT_TRUE(put(neighbour_of("a"), "value")); });
  gate.wait_for(1);
  EXPECT_EQ(get("a"), "one");
  EXPECT_FALSE(cache_->peek("a"));
  gate.open();
  writer.join();
  EXPECT_EQ(get("a"), "one");
  EXPECT_TRUE(cache_->peek("a"));
}

// The tiers may have the older value as long as the write has not returned.
TEST_F(SharedLoads, DoNotShowAValueWhoseWriteIsUnderWay) {
  RestlessClock clock;
  options_.timeout = std::chrono::milliseconds(50);
  open(clock);
  Gate gate;
  source_->after_put = [&] { gate.pass(); };
  std::thread writer([&] { EXPECT_TRUE(put("a", "new")); });
  gate.wait_for(1);
  EXPECT_EQ(get("a"), "cancelled");
  gate.open();
  writer.join();
  EXPECT_EQ(get("a"), "new");
}

TEST_F(SharedLoads, ReportAResultThatTheLastLayerForgot) {
  source_->set("a", "one");
  source_->set("b", "two");
  source_->loads_to_forget = 1;
  EXPECT_EQ(get("a"), "internal");
  source_->loads_to_forget = 1;
  const std::vector<std::string_view> keys{"a", "b"};
  const std::map<std::size_t, std::string> expected{{0, "one"}, {1, "internal"}};
  EXPECT_EQ(drain(*cache_->get_batch(keys)), expected);
  EXPECT_EQ(get("b"), "two");
}

// Whatever a load read before a write must not be kept after it.
TEST_F(SharedLoads, DoNotKeepWhatWasRemovedMeanwhile) {
  for (const bool put_anew : {false, true}) {
    clock_.advance(std::chrono::minutes(1));  // ends what is known to be absent
    source_->set("a", "old");
    Gate gate;
    source_->stop_results_at([&](const std::string&) { gate.pass(); });
    std::thread reader([&] { EXPECT_EQ(get("a"), "old"); });
    gate.wait_for(1);
    source_->stop_results_at(nullptr);
    if (put_anew) {
      ASSERT_TRUE(put("a", "new"));
    } else {
      ASSERT_TRUE(cache_->remove("a"));
    }
    // Does not join the old load either.
    EXPECT_EQ(get("a"), put_anew ? "new" : "(none)");
    gate.open();
    reader.join();
    EXPECT_EQ(get("a"), put_anew ? "new" : "(none)");
    EXPECT_EQ(cache_->stats().stale_dropped, put_anew ? 2U : 1U);
  }
}

TEST_F(SharedLoads, DoNotRememberThatSomethingIsAbsentWhichWasPutMeanwhile) {
  Gate gate;
  source_->stop_results_at([&](const std::string&) { gate.pass(); });
  std::thread reader([&] { EXPECT_EQ(get("a"), "(none)"); });
  gate.wait_for(1);
  source_->stop_results_at(nullptr);
  ASSERT_TRUE(put("a", "new"));
  gate.open();
  reader.join();
  EXPECT_EQ(get("a"), "new");
  cache_->evict("a");
  EXPECT_EQ(get("a"), "new");
}

TEST_F(SharedLoads, DoNotPinAFoundValueThatWasReplacedMeanwhile) {
  ASSERT_TRUE(put("a", "old"));
  const std::uint64_t version = cache_->version("a");
  const Result<Handle> old = cache_->get("a");
  ASSERT_TRUE(put("a", "new"));
  cache_->tier(0).remove(Key("a"));  // as if it had been evicted
  EXPECT_FALSE(cache_->pin_found("a", *old, version, 0));
  EXPECT_EQ(get("a"), "new");
  const std::uint64_t newer = cache_->version("a");
  const Result<Handle> now = cache_->get("a");
  cache_->tier(0).remove(Key("a"));
  EXPECT_TRUE(cache_->pin_found("a", *now, newer, 0));
  EXPECT_TRUE(cache_->tier(0).is_pinned(Key("a")));
}

TEST_F(SharedLoads, DoNotPinAValueThatWasReplacedMeanwhile) {
  source_->set("a", "old");
  Gate gate;
  source_->stop_results_at([&](const std::string&) { gate.pass(); });
  std::thread pinner([&] { cache_->pin("a", 0).value(); });
  gate.wait_for(1);
  source_->stop_results_at(nullptr);
  ASSERT_TRUE(put("a", "new"));
  cache_->tier(0).remove(Key("a"));  // as if it had been evicted
  gate.open();
  pinner.join();
  EXPECT_EQ(get("a"), "new");
}

}  // namespace
}  // namespace varve::cache
