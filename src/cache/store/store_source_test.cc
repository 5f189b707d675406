#include "varve/cache/store_source.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/manual_clock.h"
#include "base/random.h"
#include "cache/store/test_origin.h"
#include "store/local_store.h"
#include "store/memory_store.h"
#include "store/meter.h"
#include "store/test_stores.h"

namespace varve::cache::packs {
namespace {

struct Bench {
  store::TempDir directory{store::Medium::memory};
  base::ManualClock clock{kStart};
};

struct Case {
  const char* name;
  std::function<std::shared_ptr<store::ObjectStore>(Bench&)> make;
};

class StoreSourceContract : public ::testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<StoreSource> open() { return open_origin(store_, bench_.clock, options_); }

  Bench bench_;
  StoreSourceOptions options_;
  std::shared_ptr<store::ObjectStore> store_ = GetParam().make(bench_);
};

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreSourceContract,
    ::testing::Values(Case{"memory", [](Bench& b) { return store::make_memory_store(b.clock); }},
                      Case{"local",
                           [](Bench& b) {
                             return *store::open_local_store(b.directory.path("s"), base::Random(2),
                                                             b.clock);
                           }}),
    [](const auto& test) { return test.param.name; });

TEST_P(StoreSourceContract, KeepsValuesAcrossOpensAndOverwrites) {
  const auto first = open();
  EXPECT_EQ(first->name(), "store");
  EXPECT_EQ(load_one(*first, "k"), "<none>");
  ASSERT_TRUE(put_one(*first, "k", "one"));
  ASSERT_TRUE(put_one(*first, "empty", ""));
  EXPECT_EQ(load_one(*first, "k"), "one");
  ASSERT_TRUE(put_one(*first, "k", "two"));
  EXPECT_EQ(load_one(*first, "k"), "two");
  const auto second = open();
  EXPECT_EQ(load_one(*second, "k"), "two");
  EXPECT_EQ(load_one(*second, "empty"), "");
  EXPECT_EQ(second->stats().keys, 2U);
}

TEST_P(StoreSourceContract, RemovesForGood) {
  const auto source = open();
  ASSERT_TRUE(put_one(*source, "k", "one"));
  ASSERT_TRUE(remove_one(*source, "k"));
  ASSERT_TRUE(remove_one(*source, "never there"));
  EXPECT_EQ(load_one(*source, "k"), "<none>");
  EXPECT_EQ(load_one(*open(), "k"), "<none>");
  ASSERT_TRUE(source->compact());
  EXPECT_EQ(load_one(*open(), "k"), "<none>");
  ASSERT_TRUE(put_one(*source, "k", "two"));
  EXPECT_EQ(load_one(*open(), "k"), "two");
}

TEST_P(StoreSourceContract, ABatchIsFewObjectsAndFewRequests) {
  options_.pack_bytes = std::uint64_t{1} << 20;
  const auto source = open();
  std::map<std::string, std::string> values;
  for (int i = 0; i < 400; ++i) {
    values[fmt::format("key-{:03}", i)] = std::string(6'144, static_cast<char>('a' + i % 26));
  }
  ASSERT_TRUE(put_all(*source, values));
  EXPECT_EQ(source->stats().packs, 3U);
  const auto reopened = open();
  EXPECT_EQ(load_all(*reopened, values), values);
  EXPECT_LE(reopened->stats().requests, 3U);
  EXPECT_EQ(load_one(*reopened, "key-007"), values["key-007"]);
  EXPECT_LT(reopened->stats().request_bytes, (std::uint64_t{400} * 6'144) + 100'000);
}

TEST_P(StoreSourceContract, LargeAndEncodedValuesKeepTheirShape) {
  options_.pack_bytes = 1'000;
  const auto source = open();
  Handle value = Handle::copy_of(base::as_bytes(std::string(300'000, 'x')));
  value.set_encoding(4, 900'000);
  const Key key("big");
  ASSERT_TRUE(source->put_batch({&key, 1}, {&value, 1}, {}));
  const auto loads = source->load({&key, 1}, kLong);
  const auto loaded = loads->next();
  ASSERT_TRUE(loaded && loaded->value);
  EXPECT_EQ(loaded->value->method(), 4);
  EXPECT_EQ(loaded->value->raw_bytes(), 900'000U);
  EXPECT_EQ(loaded->value->bytes().size(), 300'000U);
  EXPECT_FALSE(loads->next());
}

TEST_P(StoreSourceContract, ExpiredValuesAreGoneAndHideOlderOnes) {
  const auto source = open();
  ASSERT_TRUE(put_one(*source, "k", "old"));
  const Key key("k");
  const Handle value = Handle::copy_of(base::as_bytes("new"));
  ASSERT_TRUE(source->put_batch({&key, 1}, {&value, 1}, {bench_.clock.wall_ms() + 1'000}));
  EXPECT_EQ(load_one(*source, "k"), "new");
  bench_.clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(load_one(*source, "k"), "<none>");
  ASSERT_TRUE(source->compact());
  EXPECT_EQ(load_one(*open(), "k"), "<none>");
}

TEST_P(StoreSourceContract, CompactionMergesAndForgets) {
  const auto source = open();
  std::map<std::string, std::string> values;
  for (int i = 0; i < 50; ++i) {
    const std::string key = fmt::format("key-{}", i % 20);
    values[key] = fmt::format("value-{}", i);
    ASSERT_TRUE(put_one(*source, key, values[key]));
  }
  ASSERT_TRUE(remove_one(*source, "key-3"));
  values["key-3"] = "<none>";
  EXPECT_EQ(source->stats().packs, 51U);
  const auto reader = open();
  ASSERT_TRUE(source->compact());
  EXPECT_EQ(source->stats().packs, 1U);
  EXPECT_EQ(source->stats().removals, 1U);  // an older value was there until now
  EXPECT_EQ(load_all(*source, values), values);
  EXPECT_EQ(load_all(*open(), values), values);
  // One whose packs were merged behind its back looks again.
  EXPECT_EQ(load_all(*reader, values), values);
  bench_.clock.advance(kLateMax + std::chrono::minutes(1));
  ASSERT_TRUE(source->compact());
  EXPECT_EQ(source->stats().removals, 0U);
  EXPECT_EQ(load_all(*open(), values), values);
  const std::uint64_t bytes = source->stats().pack_bytes;
  ASSERT_TRUE(source->compact());
  EXPECT_EQ(source->stats().pack_bytes, bytes);
}

TEST_P(StoreSourceContract, AnotherWriterIsSeenAfterRefresh) {
  const auto source = open();
  const auto other = open();
  ASSERT_TRUE(put_one(*other, "k", "v"));
  EXPECT_EQ(load_one(*source, "k"), "<none>");
  ASSERT_TRUE(source->refresh());
  EXPECT_EQ(load_one(*source, "k"), "v");
  ASSERT_TRUE(put_one(*source, "k", "w"));
  ASSERT_TRUE(other->refresh());
  EXPECT_EQ(load_one(*other, "k"), "w");
}

TEST_P(StoreSourceContract, MissesComeWithoutARequest) {
  const auto source = open();
  const std::vector<Key> keys(100, Key("none"));
  const auto loads = source->load(keys, kLong);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(*loads->next()->value);
  EXPECT_FALSE(loads->next());
  EXPECT_EQ(source->stats().requests, 0U);
}

TEST(StoreSource, DamageNamesTheObjectAndTheKey) {
  base::ManualClock clock(kStart);
  const auto store = store::make_memory_store(clock);
  const auto source = open_origin(store, clock);
  ASSERT_TRUE(put_all(*source, {{"good", "fine"}, {"k\n", std::string(100, 'v')}}));
  const auto [name, object] = *store->objects().begin();
  std::string bytes(base::as_text(object.bytes));
  bytes[bytes.find("vvvv")] = 'w';
  ASSERT_TRUE(store->replace(name, base::as_bytes(bytes), object.etag, base::Deadline::never()));
  const Key key("k\n");
  const auto loaded = source->load({&key, 1}, kLong)->next();
  ASSERT_FALSE(loaded->value);
  EXPECT_EQ(loaded->value.error().kind, ErrorKind::corrupt);
  EXPECT_NE(loaded->value.error().message.find(name), std::string::npos);
  EXPECT_NE(loaded->value.error().message.find("k\\x0a"), std::string::npos);
  EXPECT_EQ(load_one(*source, "good"), "fine");
  EXPECT_EQ(source->stats().corrupt, 1U);
  // Merging does not lose it silently; a new value makes it no matter.
  ASSERT_TRUE(put_one(*source, "x", "y"));
  EXPECT_EQ(source->compact().error().kind, ErrorKind::corrupt);
  ASSERT_TRUE(put_one(*source, "k\n", "again"));
  ASSERT_TRUE(source->compact());
  EXPECT_EQ(load_one(*source, "k\n"), "again");
}

TEST(StoreSource, ADamagedFooterNamesTheObject) {
  base::ManualClock clock(kStart);
  const auto store = store::make_memory_store(clock);
  ASSERT_TRUE(put_one(*open_origin(store, clock), "k", "v"));
  const auto [name, object] = *store->objects().begin();
  std::string bytes(base::as_text(object.bytes));
  bytes[bytes.size() - 1] ^= 1;
  ASSERT_TRUE(store->replace(name, base::as_bytes(bytes), object.etag, base::Deadline::never()));
  const auto opened = open_store_source(store, {.clock = &clock});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::corrupt);
  EXPECT_NE(opened.error().message.find(name), std::string::npos);
}

TEST(StoreSource, OptionsAndUris) {
  const auto message = [](StoreSourceOptions options) {
    const auto source = open_store_source("memory://", std::move(options));
    return source ? std::string("ok") : source.error().message;
  };
  EXPECT_EQ(message({}), "ok");
  EXPECT_NE(message({.prefix = ""}).find("prefix"), std::string::npos);
  EXPECT_NE(message({.prefix = "../x"}).find("prefix"), std::string::npos);
  EXPECT_NE(message({.pack_bytes = 0}).find("pack_bytes"), std::string::npos);
  EXPECT_NE(message({.timeout = {}}).find("timeout"), std::string::npos);
  EXPECT_FALSE(open_store_source("gopher://x"));
}

TEST_P(StoreSourceContract, RefusesWhatIsTooLargeAlsoIfItIsEncoded) {
  const auto source = open();
  Handle value = Handle::copy_of(base::as_bytes("few bytes"));
  value.set_encoding(1, (std::uint64_t{1} << 32) + 5);
  const Key key("k");
  const Status put = source->put_batch({&key, 1}, {&value, 1}, {});
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::invalid);
  EXPECT_EQ(load_one(*source, "k"), "<none>");
}

TEST(FunctionSource, LoadsInOrderAndCannotBeWritten) {
  const auto source = make_source("mine", [](std::string_view key) -> Result<Handle> {
    if (key == "bad") return fail(ErrorKind::unavailable, "no");
    if (key == "none") return Handle();
    return Handle::copy_of(base::as_bytes("of " + std::string(key)));
  });
  EXPECT_EQ(source->name(), "mine");
  EXPECT_EQ(load_one(*source, "a"), "of a");
  EXPECT_EQ(load_one(*source, "none"), "<none>");
  EXPECT_EQ(load_one(*source, "bad"), "<unavailable>");
  EXPECT_EQ(put_one(*source, "a", "b").error().kind, ErrorKind::invalid);
  EXPECT_EQ(remove_one(*source, "a").error().kind, ErrorKind::invalid);
  const Key key("a");
  const auto late = source->load({&key, 1}, std::chrono::milliseconds(0))->next();
  EXPECT_EQ(late->value.error().kind, ErrorKind::cancelled);
}

}  // namespace
}  // namespace varve::cache::packs
