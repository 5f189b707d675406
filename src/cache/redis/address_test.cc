#include "cache/redis/address.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cache/redis/key_turns.h"
#include "cache/redis/trust.h"
#include "varve/cache/redis.h"

namespace varve::cache::redis {
namespace {

std::string message_of(std::string_view url) {
  const auto address = parse_address(url);
  if (address) return "ok";
  EXPECT_EQ(address.error().kind, ErrorKind::invalid);
  return address.error().message;
}

TEST(RedisAddress, ReadsEveryPart) {
  const auto full = parse_address("redis://me:p%40ss%3A@cache.example:7000/3");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->user, "me");
  EXPECT_EQ(full->password, "p@ss:");
  EXPECT_EQ(full->host, "cache.example");
  EXPECT_EQ(full->port, 7000);
  EXPECT_EQ(full->db, 3U);
  EXPECT_EQ(full->name(), "redis://cache.example:7000/3");
  const auto shortest = parse_address("redis://localhost");
  ASSERT_TRUE(shortest);
  EXPECT_EQ(shortest->port, 6379);
  EXPECT_EQ(parse_address("redis://:secret@[::1]:6380")->host, "::1");
  EXPECT_EQ(parse_address("unix:///run/redis.sock?db=2")->db, 2U);
  EXPECT_EQ(parse_address("unix:///run/redis.sock")->unix_path, "/run/redis.sock");
}

TEST(RedisAddress, ErrorsNameTheFieldAndKeepThePassword) {
  EXPECT_NE(message_of("http://x").find("scheme"), std::string::npos);
  EXPECT_NE(message_of("rediss://x").find("scheme"), std::string::npos);
  EXPECT_NE(message_of("redis://").find("host"), std::string::npos);
  EXPECT_NE(message_of("redis://[::1").find("host"), std::string::npos);
  EXPECT_NE(message_of("redis://h:0").find("port"), std::string::npos);
  EXPECT_NE(message_of("redis://h:65536").find("port"), std::string::npos);
  EXPECT_NE(message_of("redis://h:1x").find("port"), std::string::npos);
  EXPECT_NE(message_of("redis://h/x").find("db"), std::string::npos);
  EXPECT_NE(message_of("redis://user@h").find("password"), std::string::npos);
  EXPECT_NE(message_of("redis://u:%4@h").find("password"), std::string::npos);
  EXPECT_NE(message_of("redis://%zz:p@h").find("user"), std::string::npos);
  EXPECT_NE(message_of("unix://relative").find("path"), std::string::npos);
  EXPECT_NE(message_of("unix:///a?x=1").find("setting"), std::string::npos);
  EXPECT_NE(message_of("unix:///" + std::string(200, 'a')).find("path"), std::string::npos);
  EXPECT_EQ(message_of("redis://u:hunter2@h:x").find("hunter2"), std::string::npos);
}

TEST(RedisOptions, ErrorsNameTheField) {
  const auto message = [](auto change) {
    RedisOptions options;
    options.url = "redis://127.0.0.1:1";
    options.name_space = "test";
    change(options);
    const auto tier = open_redis_tier(options);
    return tier ? std::string("ok") : tier.error().message;
  };
  EXPECT_EQ(message([](RedisOptions&) {}), "ok");  // nobody listens: no error
  EXPECT_NE(message([](auto& o) { o.url = "x"; }).find("scheme"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.name_space = ""; }).find("name_space"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.timeout = {}; }).find("timeout"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.connections_max = 0; }).find("connections"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.breaker.wait_max = {}; }).find("wait_max"), std::string::npos);
}

TEST(KeyTurns, ExcludeEachOtherAndServeInOrder) {
  KeyTurns turns;
  const auto now = base::system_clock().now();
  const auto soon = now + std::chrono::milliseconds(1);
  ASSERT_TRUE(turns.take(1, now));
  EXPECT_FALSE(turns.take(3, soon));
  EXPECT_TRUE(turns.take(2, now));
  turns.give(2);
  // A batch waits for the first turn; who comes later waits behind it for the second.
  std::atomic<int> order{0};
  int batch_at = 0, single_at = 0;
  std::thread batch([&] {
    EXPECT_TRUE(turns.take(3, now + std::chrono::minutes(1)));
    batch_at = ++order;
    turns.give(3);
  });
  while (turns.take(2, base::system_clock().now())) turns.give(2);
  std::thread single([&] {
    EXPECT_TRUE(turns.take(2, now + std::chrono::minutes(1)));
    single_at = ++order;
    turns.give(2);
  });
  turns.give(1);
  batch.join();
  single.join();
  EXPECT_EQ(batch_at, 1);
  EXPECT_EQ(single_at, 2);
}

TEST(RedisTrust, AFailedWriteBoundsItsKeyUntilANewerOne) {
  Trust trust("ns", false, 1);
  const Epoch epoch = trust.epoch();
  EXPECT_TRUE(trust.believes(7, 10, epoch.number));
  trust.doubt(7, 10);
  trust.doubt(7, 8);
  EXPECT_FALSE(trust.believes(7, 10, epoch.number));
  EXPECT_TRUE(trust.believes(7, 11, epoch.number));
  EXPECT_TRUE(trust.believes(8, 1, epoch.number));
}

TEST(RedisTrust, TooManyBoundsBeginAnEpoch) {
  Trust trust("ns", false, 1);
  const Epoch before = trust.epoch();
  for (std::uint64_t i = 0; i < Trust::kBoundsMax; ++i) trust.doubt(i, i);
  EXPECT_EQ(trust.epoch().number, before.number);
  trust.doubt(Trust::kBoundsMax, 1);
  EXPECT_NE(*trust.epoch().prefix, *before.prefix);
  EXPECT_FALSE(trust.believes(1, 1'000'000, before.number));
  EXPECT_TRUE(trust.believes(1, 1, trust.epoch().number));
}

TEST(RedisTrust, ImmutableValuesAreBelievedAndShareOnePrefix) {
  Trust trust("ns", true, 1);
  trust.doubt(7, 10);
  trust.renew();
  EXPECT_TRUE(trust.believes(7, 1, trust.epoch().number));
  EXPECT_EQ(*trust.epoch().prefix, "ns:");
}

}  // namespace
}  // namespace varve::cache::redis
