// What the tier does while its server hangs, dies, forgets and lies.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/manual_clock.h"
#include "base/random.h"
#include "cache/redis/lying_proxy.h"
#include "cache/redis/test_server.h"
#include "varve/cache/redis.h"

namespace varve::cache::redis {
namespace {

using std::chrono::milliseconds;

Handle value_of(std::string_view text) { return Handle::copy_of(base::as_bytes(text)); }
std::string text_of(const Handle& value) {
  return value ? std::string(base::as_text(value.bytes())) : "<none>";
}

class RedisFaultTest : public WithServer {
 protected:
  // A time-out that a busy machine keeps, unless short ones are the matter.
  std::unique_ptr<Tier> open(const std::string& url, base::Clock* clock = nullptr,
                             milliseconds timeout = milliseconds(200)) {
    RedisOptions options;
    options.url = url;
    options.name_space = "test";
    options.clock = clock;
    options.timeout = timeout;
    options.breaker.wait_min = milliseconds(50);
    options.breaker.wait_max = milliseconds(400);
    return std::move(*open_redis_tier(options));
  }
  // Lets the breaker try again until the server is found; bounded.
  static bool recovers(Tier& tier, base::ManualClock& clock) {
    for (int i = 0; i < 1'000 && !tier.stats().available; ++i) {
      clock.advance(milliseconds(100));
      tier.maintain();
    }
    return tier.stats().available;
  }
};

TEST_F(RedisFaultTest, StartsSwitchedOffAndComesBack) {
  server_->kill();
  base::ManualClock clock;
  const auto tier = open(server_->url(), &clock);
  EXPECT_FALSE(tier->stats().available);
  EXPECT_FALSE(tier->put(Key("k"), value_of("v"), {}));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  server_->start();
  ASSERT_TRUE(recovers(*tier, clock));
  EXPECT_TRUE(tier->put(Key("k"), value_of("v"), {}));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "v");
}

TEST_F(RedisFaultTest, AWriteThatLandsLateIsNotBelieved) {
  base::ManualClock clock;
  const auto tier = open(server_->url(), &clock);
  ASSERT_TRUE(tier->put(Key("k"), value_of("1"), {}));
  ASSERT_TRUE(tier->put(Key("gone"), value_of("1"), {}));
  server_->hang();
  EXPECT_FALSE(tier->put(Key("k"), value_of("2"), {}));
  EXPECT_FALSE(tier->remove(Key("gone")));
  EXPECT_FALSE(tier->put(Key("late"), value_of("2"), {}));
  EXPECT_FALSE(tier->stats().available);
  server_->wake();
  ASSERT_TRUE(recovers(*tier, clock));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  EXPECT_EQ(text_of(tier->get(Key("gone"))), "<none>");
  EXPECT_EQ(text_of(tier->get(Key("late"))), "<none>");
  EXPECT_TRUE(tier->put(Key("k"), value_of("3"), {}));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "3");
}

TEST_F(RedisFaultTest, AServerThatWentBackInTimeIsNotBelieved) {
  base::ManualClock clock;
  const auto tier = open(server_->url(), &clock);
  ASSERT_TRUE(tier->put(Key("k"), value_of("1"), {}));
  ASSERT_EQ(server_->command({"SAVE"}), "OK");
  ASSERT_TRUE(tier->put(Key("k"), value_of("2"), {}));
  server_->kill();
  server_->start();
  ASSERT_EQ(server_->command({"DBSIZE"}), "1");
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  ASSERT_TRUE(recovers(*tier, clock));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  EXPECT_TRUE(tier->put(Key("k"), value_of("3"), {}));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "3");
}

TEST_F(RedisFaultTest, AReplyTooManyAnswersNoOtherCall) {
  LyingProxy proxy(server_->socket(), 1);
  const auto tier = open("unix://" + proxy.socket());
  ASSERT_TRUE(tier->put(Key("a"), value_of("1"), {}));
  ASSERT_TRUE(tier->put(Key("b"), value_of("2"), {}));
  proxy.repeats = 1;
  EXPECT_EQ(text_of(tier->get(Key("a"))), "<none>");
  EXPECT_EQ(tier->stats().errors, 1U);
  EXPECT_EQ(text_of(tier->get(Key("b"))), "2");
  EXPECT_EQ(text_of(tier->get(Key("a"))), "1");
  // Whose reply says that a write was done is not known then.
  proxy.repeats = 1;
  EXPECT_FALSE(tier->put(Key("a"), value_of("3"), {}));
  EXPECT_EQ(text_of(tier->get(Key("a"))), "<none>");
  EXPECT_EQ(text_of(tier->get(Key("b"))), "2");
  EXPECT_EQ(tier->stats().errors, 2U);
  EXPECT_EQ(tier->stats().corrupt, 0U);
  EXPECT_TRUE(tier->stats().available);
}

TEST_F(RedisFaultTest, FlushedMeansMisses) {
  const auto tier = open(server_->url());
  ASSERT_TRUE(tier->put(Key("k"), value_of("v"), {}));
  ASSERT_EQ(server_->command({"FLUSHALL"}), "OK");
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  EXPECT_EQ(tier->stats().errors, 0U);
}

TEST_F(RedisFaultTest, NeverOlderThanTheLastWriteInAnyFault) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    base::Random random(seed);
    base::ManualClock clock;
    LyingProxy proxy(server_->socket(), seed);
    const auto tier = open("unix://" + proxy.socket(), &clock, milliseconds(20));
    std::map<std::string, std::string> truth;
    int hits = 0;
    bool hung = false;
    for (int step = 0; step < 4'000; ++step) {
      const std::string name = fmt::format("key-{}", random.below(30));
      const Key key(name);
      const std::uint64_t action = random.below(100);
      if (action < 50) {
        const Handle got = tier->get(key);
        ASSERT_TRUE(!got || text_of(got) == truth[name]) << step << ": " << text_of(got);
        hits += got ? 1 : 0;
      } else if (action < 80) {
        truth[name] = fmt::format("{}-{}", step, std::string(random.below(200), 'x'));
        tier->put(key, value_of(truth[name]), {});
      } else if (action < 90) {
        truth[name] = "<removed>";
        tier->remove(key);
      } else if (action < 97) {
        clock.advance(milliseconds(random.below(300)));
        tier->maintain();
      }
      if (step % 100 == 99) {
        if (std::exchange(hung, false)) server_->wake();
        const std::uint64_t fault = random.below(6);
        proxy.lies = fault == 0 ? 300 : 0;
        if (fault == 1) hung = true, server_->hang();
        if (fault == 2) server_->command({"SAVE"});
        if (fault == 3) server_->kill(), server_->start();
        if (fault == 4) server_->command({"FLUSHALL"});
      }
    }
    if (hung) server_->wake();
    EXPECT_GT(hits, 100);
    EXPECT_GT(proxy.told, 0U);
    EXPECT_GT(tier->stats().errors, 0U);
  }
}

// Gets of several threads, and how long each took.
struct Load {
  std::uint64_t wrong = 0, hits = 0;
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
  bool was_off = false;
};

Load run_load(Tier& tier) {
  constexpr int kThreads = 4, kGets = 500;
  std::vector<std::vector<double>> times(kThreads);
  std::atomic<std::uint64_t> wrong{0}, hits{0};
  std::atomic<bool> off{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      base::Random random(static_cast<std::uint64_t>(t));
      for (int i = 0; i < kGets; ++i) {
        const std::string name = fmt::format("key-{}", random.below(100));
        const auto begin = std::chrono::steady_clock::now();
        const Handle got = tier.get(Key(name));
        times[t].push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
                .count());
        if (got) ++(text_of(got) == name + std::string(6'000, 'v') ? hits : wrong);
        if (!tier.stats().available) off = true;
        // As a service would ask, else gets that cost nothing hide those that do.
        std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<double> all;
  for (const auto& some : times) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  return {wrong, hits, all[all.size() / 2], all[all.size() * 99 / 100], all.back(), off};
}

TEST_F(RedisFaultTest, GetsUnderLoadStayShortInEachFault) {
  LyingProxy proxy(server_->socket(), 1);
  const auto direct = open(server_->url(), nullptr, milliseconds(20));
  const auto lying = open("unix://" + proxy.socket(), nullptr, milliseconds(20));
  const auto fill = [](Tier& tier) {
    for (int i = 0; i < 2'000 && !tier.stats().available; ++i) {
      std::this_thread::sleep_for(milliseconds(5));
      tier.maintain();
    }
    EXPECT_TRUE(tier.stats().available);
    for (int i = 0; i < 100; ++i) {
      const std::string name = fmt::format("key-{}", i);
      tier.put(Key(name), value_of(name + std::string(6'000, 'v')), {});
    }
  };
  const auto report = [](const char* phase, const Load& load) {
    std::printf("%-8s p50 %.3f ms, p99 %.3f ms, max %.1f ms, %d hits, switched off: %s\n", phase,
                load.p50_ms, load.p99_ms, load.max_ms, static_cast<int>(load.hits),
                load.was_off ? "yes" : "no");
    EXPECT_EQ(load.wrong, 0U) << phase;
    return load;
  };
  fill(*direct);
  const Load healthy = report("healthy", run_load(*direct));
  EXPECT_GT(healthy.hits, 1'000U);
  const auto expect_short = [&](const Load& load) { EXPECT_LE(load.p99_ms, healthy.p99_ms + 20); };
  server_->hang();
  const Load hung = report("hung", run_load(*direct));
  expect_short(hung);
  EXPECT_TRUE(hung.was_off);
  server_->wake();
  fill(*direct);
  EXPECT_GT(report("awake", run_load(*direct)).hits, 1'000U);
  server_->kill();
  const Load killed = report("killed", run_load(*direct));
  expect_short(killed);
  EXPECT_TRUE(killed.was_off);
  server_->start();
  fill(*direct);
  ASSERT_EQ(server_->command({"FLUSHALL"}), "OK");
  const Load flushed = report("flushed", run_load(*direct));
  expect_short(flushed);
  EXPECT_EQ(flushed.hits, 0U);
  fill(*lying);
  proxy.lies = 500;
  const Load lied = report("lying", run_load(*lying));
  expect_short(lied);
  EXPECT_GT(lying->stats().corrupt, 0U);
}

}  // namespace
}  // namespace varve::cache::redis
