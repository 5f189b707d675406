#include "varve/cache/redis.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/manual_clock.h"
#include "base/random.h"
#include "cache/record.h"
#include "cache/redis/test_server.h"
#include "codec/zstd.h"

namespace varve::cache::redis {
namespace {

Handle value_of(std::string_view text) { return Handle::copy_of(base::as_bytes(text)); }
std::string text_of(const Handle& value) {
  return value ? std::string(base::as_text(value.bytes())) : "<none>";
}

std::string record_of(std::string_view key, std::string_view text,
                      const RecordHeader& like = RecordHeader()) {
  RecordHeader header = like;
  header.key_bytes = static_cast<std::uint16_t>(key.size());
  header.stored_bytes = static_cast<std::uint32_t>(text.size());
  if (header.method == 0) header.raw_bytes = header.stored_bytes;
  std::string bytes(header.record_bytes(), '\0');
  encode_record(header, key, base::as_bytes(text),
                {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
  return bytes;
}

class RedisTierTest : public WithServer {
 protected:
  std::unique_ptr<Tier> open(bool shared = false) {
    RedisOptions options;
    options.url = server_->url();
    options.name_space = "test*";
    options.shared_immutable = shared;
    options.timeout = std::chrono::milliseconds(500);
    auto tier = open_redis_tier(options);
    EXPECT_TRUE(tier);
    EXPECT_TRUE((*tier)->stats().available);
    return std::move(*tier);
  }
};

TEST_F(RedisTierTest, KeepsGivesAndRemoves) {
  const auto tier = open();
  const std::string binary("k\0\r\n", 4);
  EXPECT_EQ(text_of(tier->get(Key(binary))), "<none>");
  EXPECT_TRUE(tier->put(Key(binary), value_of("one"), {}));
  EXPECT_EQ(text_of(tier->get(Key(binary))), "one");
  EXPECT_TRUE(tier->put(Key(binary), value_of(""), {}));
  const Handle empty = tier->get(Key(binary));
  EXPECT_TRUE(empty);
  EXPECT_EQ(empty.bytes().size(), 0U);
  EXPECT_TRUE(tier->remove(Key(binary)));
  EXPECT_FALSE(tier->remove(Key(binary)));
  EXPECT_EQ(text_of(tier->get(Key(binary))), "<none>");
  const TierStats stats = tier->stats();
  EXPECT_EQ(stats.hits, 2U);
  EXPECT_EQ(stats.misses, 2U);
  EXPECT_EQ(stats.insertions, 2U);
  EXPECT_EQ(stats.removed, 1U);
  EXPECT_EQ(stats.round_trips, 8U);
  EXPECT_EQ(stats.errors + stats.corrupt, 0U);
  EXPECT_TRUE(tier->is_persistent());
}

TEST_F(RedisTierTest, PassesEncodedValuesThrough) {
  const auto tier = open();
  const base::Bytes frame = codec::compress(base::as_bytes(std::string(5'000, 'x')), 1);
  Handle value = Handle::copy_of(frame);
  value.set_encoding(3, 5'000);
  ASSERT_TRUE(tier->put(Key("k"), value, {}));
  const Handle got = tier->get(Key("k"));
  EXPECT_EQ(got.method(), 3);
  EXPECT_EQ(got.raw_bytes(), 5'000U);
  EXPECT_EQ(text_of(got), base::as_text(frame));
}

TEST_F(RedisTierTest, BatchesTakeFewRoundTrips) {
  const auto tier = open();
  std::vector<std::string> names;
  for (int i = 0; i < 1'000; ++i) names.push_back(fmt::format("key-{}", i));
  std::vector<Key> keys(names.begin(), names.end());
  std::vector<Handle> values;
  for (int i = 0; i < 1'000; ++i) values.push_back(value_of(std::string(6'000, 'a') + names[i]));
  tier->put_batch(keys, values, {});
  std::vector<Handle> out(1'000);
  out[5] = value_of("mine");
  tier->get_batch(keys, out);
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(text_of(out[i]), i == 5 ? "mine" : text_of(values[i]));
  }
  EXPECT_EQ(tier->stats().hits, 999U);
  EXPECT_LE(tier->stats().round_trips, 6U + 6U);
  std::set<std::string> seen;
  tier->each([&](std::string_view key, std::uint64_t bytes, bool pinned) {
    EXPECT_GT(bytes, 6'000U);
    EXPECT_FALSE(pinned);
    seen.emplace(key);
    return true;
  });
  EXPECT_EQ(seen.size(), 1'000U);
}

TEST_F(RedisTierTest, BatchesOfLargeValuesAreRead) {
  const auto tier = open();
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back(fmt::format("key-{}", i));
  const std::vector<Key> keys(names.begin(), names.end());
  const std::vector<Handle> values(keys.size(), value_of(std::string(100'000, 'a')));
  tier->put_batch(keys, values, {});
  const auto trips_of_a_batch = [&] {
    const std::uint64_t before = tier->stats().round_trips;
    std::vector<Handle> out(keys.size());
    tier->get_batch(keys, out);
    for (const Handle& value : out) EXPECT_EQ(text_of(value), text_of(values[0]));
    return tier->stats().round_trips - before;
  };
  EXPECT_EQ(trips_of_a_batch(), 1U);
  // Now their sizes are known: ten to the MiB.
  EXPECT_EQ(trips_of_a_batch(), 4U);
  EXPECT_EQ(tier->stats().errors, 0U);
}

TEST_F(RedisTierTest, EntriesEndWithTheirTime) {
  const auto tier = open(true);
  const std::int64_t now = base::system_clock().wall_ms();
  ASSERT_TRUE(tier->put(Key("k"), value_of("v"), {now + 60'000}));
  EXPECT_EQ(tier->get(Key("k")).expires_ms(), now + 60'000);
  EXPECT_GT(std::stoll(server_->command({"PTTL", "test*:k"})), 50'000);
  ASSERT_TRUE(tier->put(Key("k"), value_of("v"), {}));
  EXPECT_EQ(server_->command({"PTTL", "test*:k"}), "-1");
  // Over before it comes in: what was there is gone too.
  EXPECT_FALSE(tier->put(Key("k"), value_of("v"), {now - 1}));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
}

TEST_F(RedisTierTest, ExpiryIsJudgedByOurClockToo) {
  base::ManualClock clock(std::chrono::hours(24 * 365 * 60));
  RedisOptions options;
  options.url = server_->url();
  options.name_space = "t";
  options.clock = &clock;
  const auto tier = std::move(*open_redis_tier(options));
  ASSERT_TRUE(tier->put(Key("k"), value_of("v"), {clock.wall_ms() + 60'000}));
  clock.advance(std::chrono::minutes(1));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  EXPECT_EQ(tier->stats().expired, 1U);
}

TEST_F(RedisTierTest, EpochsVanish) {
  const auto tier = open();
  ASSERT_TRUE(tier->put(Key("k"), value_of("v"), {}));
  const std::string name = server_->command({"RANDOMKEY"});
  EXPECT_GT(std::stoll(server_->command({"PTTL", name})), 23 * 3'600'000);
}

TEST_F(RedisTierTest, ImmutableEntriesAreSharedOthersAreNot) {
  ASSERT_TRUE(open(true)->put(Key("k"), value_of("v"), {}));
  EXPECT_EQ(text_of(open(true)->get(Key("k"))), "v");
  ASSERT_TRUE(open()->put(Key("k"), value_of("w"), {}));
  EXPECT_EQ(text_of(open()->get(Key("k"))), "<none>");
}

TEST_F(RedisTierTest, WrongBytesAreMissesAndCounted) {
  const auto tier = open(true);
  const std::string right = record_of("k", "value");
  const auto get = [&](std::string_view bytes) {
    EXPECT_EQ(server_->command({"SET", "test*:k", bytes}), "OK");
    return text_of(tier->get(Key("k")));
  };
  EXPECT_EQ(get(right), "value");
  std::uint64_t wrong = 0;
  for (std::size_t i = 0; i < kRecordHeaderBytes + 6; ++i) {
    std::string flipped = right;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_EQ(get(flipped), "<none>") << i;
    EXPECT_EQ(tier->stats().corrupt, ++wrong);
  }
  for (std::size_t i = 0; i < right.size(); ++i) {
    EXPECT_EQ(get(right.substr(0, i)), "<none>") << i;
    EXPECT_EQ(tier->stats().corrupt, ++wrong);
  }
  EXPECT_EQ(get(right + right), "<none>");
  // Few bytes that stand for very many.
  RecordHeader huge;
  huge.method = 1;
  huge.raw_bytes = ~std::uint32_t{0};
  EXPECT_EQ(get(record_of("k", "x", huge)), "<none>");
  EXPECT_EQ(server_->command({"DEL", "test*:k"}), "1");
  EXPECT_EQ(server_->command({"LPUSH", "test*:k", right}), "1");
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  EXPECT_EQ(tier->stats().corrupt, wrong + 3);
  EXPECT_EQ(tier->stats().errors, 0U);
  EXPECT_TRUE(tier->stats().available);
  // What looks like the reply to another command costs the connection.
  EXPECT_EQ(server_->command({"DEL", "test*:k"}), "1");
  EXPECT_EQ(get(record_of("other", "value")), "<none>");
  EXPECT_EQ(tier->stats().corrupt, wrong + 4);
  EXPECT_EQ(tier->stats().errors, 1U);
  EXPECT_EQ(get(right), "value");
}

TEST_F(RedisTierTest, AFullServerKeepsNoOlderValue) {
  const auto tier = open();
  ASSERT_TRUE(tier->put(Key("k"), value_of("old"), {}));
  ASSERT_EQ(server_->command({"CONFIG", "SET", "maxmemory", "1"}), "OK");
  EXPECT_FALSE(tier->put(Key("k"), value_of("new"), {}));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  EXPECT_GE(tier->stats().errors, 1U);
  EXPECT_TRUE(tier->stats().available);
}

TEST_F(RedisTierTest, LogsInAndAWrongPasswordSwitchesOff) {
  ASSERT_EQ(server_->command({"ACL", "SETUSER", "me", "on", ">se cret", "~*", "+@all"}), "OK");
  ASSERT_EQ(server_->command({"CONFIG", "SET", "requirepass", "x"}), "OK");
  const auto works = [&](std::string_view login) {
    RedisOptions options;
    options.url = fmt::format("redis://{}127.0.0.1:{}/1", login, server_->port());
    options.name_space = "t";
    options.timeout = std::chrono::milliseconds(500);
    const auto tier = std::move(*open_redis_tier(options));
    const bool kept = tier->put(Key("k"), value_of("v"), {});
    EXPECT_EQ(kept, tier->stats().available);
    return kept && text_of(tier->get(Key("k"))) == "v";
  };
  EXPECT_TRUE(works("me:se%20cret@"));
  EXPECT_TRUE(works(":x@"));
  EXPECT_FALSE(works("me:secret@"));
  EXPECT_FALSE(works(""));
}

TEST_F(RedisTierTest, LargeValuesAreNotKept) {
  const auto tier = open();
  ASSERT_TRUE(tier->put(Key("k"), value_of("old"), {}));
  EXPECT_FALSE(tier->put(Key("k"), value_of(std::string((8U << 20) + 1, 'x')), {}));
  EXPECT_EQ(text_of(tier->get(Key("k"))), "<none>");
  EXPECT_EQ(tier->stats().rejected, 1U);
  // The value itself counts as well.
  Handle encoded = value_of("x");
  encoded.set_encoding(1, (8U << 20) + 1);
  EXPECT_FALSE(tier->put(Key("k"), encoded, {}));
  EXPECT_EQ(tier->stats().rejected, 2U);
}

}  // namespace
}  // namespace varve::cache::redis
