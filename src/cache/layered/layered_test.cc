// How values move between the tiers of a LayeredCache.
#include "varve/cache/layered.h"

#include <thread>

#include "base/manual_clock.h"
#include "base/pool.h"
#include "cache/layered/moves.h"
#include "cache/layered/test_source.h"

namespace varve::cache {
namespace {

constexpr std::uint64_t kKiB = 1024;

class Layers : public testing::Test {
 protected:
  // Two tiers in memory, exact in what they evict.
  LayeredCache& open(std::uint64_t first = 256 * kKiB, std::uint64_t second = 4096 * kKiB) {
    options_.clock = &clock_;
    std::vector<std::unique_ptr<Tier>> tiers;
    tiers.push_back(memory_tier({{first, 0}, {}, now_ms_}, "lru", {}, 1));
    tiers.push_back(memory_tier({{second, 0}, {}, now_ms_}, "lru", compressed(), 1));
    cache_ = make_layered_cache(std::move(tiers), source_, options_);
    return *cache_;
  }
  std::string get(std::string_view key) {
    const Result<Handle> value = cache_->get(key);
    if (!value) return std::string(to_string(value.error().kind));
    return *value ? text_of(*value) : "(none)";
  }
  Status put(std::string_view key, std::string_view value) {
    return cache_->put(key, std::as_bytes(std::span(value)), {});
  }
  bool is_in(std::size_t tier, std::string_view key) {
    return cache_->tier(tier).may_contain(Key(key));
  }
  // Pushes everything out of the first tier.
  void press(int rounds = 1) {
    const std::string value = noise(20 * kKiB, 1);
    for (int i = 0; i < 20 * rounds; ++i) {
      ASSERT_TRUE(put("press " + std::to_string(pressed_++), value));
    }
  }

  base::ManualClock clock_;
  const std::function<std::int64_t()> now_ms_ = [this] { return kTestStartMs + clock_.wall_ms(); };
  std::shared_ptr<MapSource> source_ = std::make_shared<MapSource>();
  LayeredOptions options_;
  std::unique_ptr<LayeredCache> cache_;
  int pressed_ = 0;
};

TEST_F(Layers, FillsTheFirstTierFromTheLastLayer) {
  open();
  source_->set("a", "one");
  EXPECT_EQ(get("a"), "one");
  EXPECT_EQ(get("a"), "one");
  EXPECT_EQ(source_->loads("a"), 1);
  EXPECT_TRUE(is_in(0, "a"));
  EXPECT_FALSE(is_in(1, "a"));
  EXPECT_EQ(cache_->stats().loads, 1U);
}

TEST_F(Layers, RefusesKeysThatAreEmptyOrTooLong) {
  open();
  const std::string long_key(kKeyBytesMax + 1, 'k');
  for (const std::string_view key : {std::string_view(), std::string_view(long_key)}) {
    EXPECT_EQ(get(key), "invalid");
    EXPECT_FALSE(put(key, "v"));
    EXPECT_FALSE(cache_->remove(key));
    EXPECT_FALSE(cache_->pin(key, 0));
    EXPECT_FALSE(cache_->unpin(key));
    EXPECT_FALSE(cache_->peek(key));
    cache_->evict(key);
    const auto gets = cache_->get_batch(std::span(&key, 1));
    const auto got = gets->next();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->value.error().kind, ErrorKind::invalid);
    EXPECT_FALSE(gets->next());
  }
  EXPECT_TRUE(put(std::string(kKeyBytesMax, 'k'), "v"));
}

TEST_F(Layers, SendWhatWasHitDownAtOnceAndTheRestTheSecondTime) {
  open();
  ASSERT_TRUE(put("hit", "one"));
  ASSERT_TRUE(put("not hit", "two"));
  EXPECT_EQ(get("hit"), "one");
  press();
  EXPECT_FALSE(is_in(0, "hit"));
  EXPECT_FALSE(is_in(0, "not hit"));
  EXPECT_TRUE(is_in(1, "hit"));
  EXPECT_FALSE(is_in(1, "not hit"));
  EXPECT_EQ(get("not hit"), "two");
  EXPECT_EQ(source_->loads("not hit"), 1);
  press();
  EXPECT_TRUE(is_in(1, "not hit"));
  // Not written again when it is there already.
  const std::uint64_t before = cache_->tier(1).stats().insertions;
  EXPECT_EQ(get("hit"), "one");
  EXPECT_EQ(get("hit"), "one");
  EXPECT_TRUE(is_in(0, "hit"));
  press();
  EXPECT_FALSE(is_in(0, "hit"));
  EXPECT_TRUE(is_in(1, "hit"));
  EXPECT_LE(cache_->tier(1).stats().insertions, before + 20);
  EXPECT_EQ(source_->loads("hit"), 0);
}

TEST_F(Layers, MoveUpWhatIsAskedForOften) {
  options_.promote_after = 3;
  open();
  ASSERT_TRUE(put("a", "one"));
  EXPECT_EQ(get("a"), "one");
  press();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(get("a"), "one");
    EXPECT_FALSE(is_in(0, "a"));
  }
  EXPECT_EQ(get("a"), "one");
  EXPECT_TRUE(is_in(0, "a"));
  EXPECT_TRUE(is_in(1, "a"));
  EXPECT_EQ(cache_->stats().promotions, 1U);
}

TEST_F(Layers, KeepOneCopyIfExclusive) {
  options_.exclusive = true;
  options_.promote_after = 1;
  open();
  ASSERT_TRUE(put("a", "one"));
  EXPECT_EQ(get("a"), "one");
  press();
  EXPECT_TRUE(is_in(1, "a"));
  EXPECT_EQ(get("a"), "one");
  EXPECT_TRUE(is_in(0, "a"));
  EXPECT_FALSE(is_in(1, "a"));
  // What does not fit above stays below.
  ASSERT_TRUE(put("large", noise(400 * kKiB, 1)));
  EXPECT_TRUE(is_in(1, "large"));
  EXPECT_EQ(get("large"), noise(400 * kKiB, 1));
  EXPECT_TRUE(is_in(1, "large"));
}

TEST_F(Layers, PutsWhatIsTooLargeForTheFirstTierIntoTheNext) {
  open();
  const std::string large = noise(500 * kKiB, 1);
  ASSERT_TRUE(put("a", large));
  EXPECT_FALSE(is_in(0, "a"));
  EXPECT_TRUE(is_in(1, "a"));
  EXPECT_EQ(get("a"), large);
  // Written anew and small: no old copy below.
  ASSERT_TRUE(put("a", "small"));
  EXPECT_FALSE(is_in(1, "a"));
  EXPECT_EQ(get("a"), "small");
}

TEST_F(Layers, DropMovesForWhichThereIsNoRoom) {
  options_.moves_max = 2;
  options_.pool = nullptr;
  open();
  const std::string small = noise(kKiB, 1);
  for (int i = 0; i < 150; ++i) {
    ASSERT_TRUE(put(std::to_string(i), small));
    EXPECT_EQ(get(std::to_string(i)), small);
  }
  // One put of a large value pushes many out.
  ASSERT_TRUE(put("large", noise(150 * kKiB, 1)));
  const LayeredStats stats = cache_->stats();
  EXPECT_GT(stats.demotions_dropped, 50U);
  EXPECT_EQ(stats.waiting_moves, 0U);
  EXPECT_EQ(stats.waiting_bytes, 0U);
}

TEST_F(Layers, MoveAValueThatIsLargerThanTheBoundByItself) {
  options_.move_bytes_max = kKiB;
  options_.promote_after = 1;
  open();
  const std::string large = noise(40 * kKiB, 7);
  ASSERT_TRUE(put("a", large));
  EXPECT_EQ(get("a"), large);
  press();
  EXPECT_TRUE(is_in(1, "a"));
  EXPECT_EQ(get("a"), large);
  EXPECT_TRUE(is_in(0, "a"));
}

TEST(Moves, GoOnAfterOneThatThrows) {
  int made = 0;
  Moves moves(8, kKiB, nullptr, [&](const Move&) {
    if (made++ == 0) throw std::bad_alloc();
  });
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(moves.add({"a", 1, handle_of_text("one"), 0, 1, 0}));
  EXPECT_THROW(moves.run_unless_pool(), std::bad_alloc);
  moves.settle();
  EXPECT_EQ(made, 2);
  moves.stop();
}

TEST_F(Layers, MoveInThePoolThatTheyAreGiven) {
  const auto pool = base::make_thread_pool(1);
  options_.pool = pool.get();
  open();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(put(std::to_string(i), "value"));
    EXPECT_EQ(get(std::to_string(i)), "value");
  }
  press();
  cache_->settle();
  EXPECT_EQ(cache_->stats().waiting_moves, 0U);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(is_in(1, std::to_string(i)));
  cache_.reset();
}

// Refuses every task, as a pool does that is about to close.
struct FullPool final : base::Pool {
  void parallel_for(std::size_t, const std::function<void(std::size_t)>&) override {}
  bool post(std::function<void()>) override { return false; }
  std::size_t width() const override { return 1; }
};

TEST_F(Layers, SettleWhatThePoolRefused) {
  FullPool pool;
  options_.pool = &pool;
  open();
  ASSERT_TRUE(put("a", "one"));
  EXPECT_EQ(get("a"), "one");
  press();
  EXPECT_GT(cache_->stats().waiting_moves, 0U);
  cache_->settle();
  EXPECT_EQ(cache_->stats().waiting_moves, 0U);
  EXPECT_TRUE(is_in(1, "a"));
}

TEST_F(Layers, RememberWhatIsNotThereUntilItIsPut) {
  options_.negative_ttl = std::chrono::milliseconds(500);
  open();
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_EQ(source_->loads("a"), 1);
  EXPECT_EQ(cache_->stats().negative_hits, 1U);
  clock_.advance(std::chrono::milliseconds(500));
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_EQ(source_->loads("a"), 2);
  ASSERT_TRUE(put("a", "one"));
  EXPECT_EQ(get("a"), "one");
  ASSERT_TRUE(cache_->remove("a"));
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_EQ(source_->loads("a"), 3);
}

TEST_F(Layers, WaitAsLongAsTheyAreTold) {
  options_.negative_ttl = std::chrono::milliseconds::max();
  options_.timeout = std::chrono::milliseconds::max();
  open();
  EXPECT_EQ(get("a"), "(none)");
  clock_.advance(std::chrono::hours(24));
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_EQ(source_->loads("a"), 1);
}

TEST_F(Layers, DecodeWhatTheLastLayerKeepsEncoded) {
  source_->encode = compressed();
  open();
  const std::string value(4 * kKiB, 'v');
  source_->set("a", value);
  source_->set("b", value);
  EXPECT_EQ(get("a"), value);
  EXPECT_EQ(get("a"), value);
  const std::string_view key = "b";
  EXPECT_EQ(text_of(*cache_->get_batch(std::span(&key, 1))->next()->value), value);
  source_->encode = [](const Handle&) {
    Handle damaged = handle_of_text("damaged");
    damaged.set_encoding(255, 100);
    return damaged;
  };
  source_->set("c", value);
  EXPECT_EQ(get("c"), "corrupt");
  EXPECT_EQ(cache_->stats().load_errors, 1U);
}

TEST_F(Layers, LetValuesExpireEverywhere) {
  open();
  const std::string value = "one";
  const PutOptions soon{now_ms_() + 1000};
  ASSERT_TRUE(cache_->put("a", std::as_bytes(std::span(value)), soon));
  EXPECT_EQ(get("a"), "one");
  press();
  EXPECT_TRUE(is_in(1, "a"));
  EXPECT_TRUE(cache_->peek("a"));
  clock_.advance(std::chrono::seconds(2));
  EXPECT_FALSE(cache_->peek("a"));
  cache_->settle();
  EXPECT_FALSE(is_in(1, "a"));
}

TEST_F(Layers, DropAValueWhoseWriteFailed) {
  open();
  ASSERT_TRUE(put("a", "one"));
  EXPECT_EQ(get("a"), "one");
  source_->puts_fail = true;
  const Status failed = put("a", "two");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::unavailable);
  EXPECT_FALSE(cache_->peek("a"));
  EXPECT_EQ(get("a"), "two");
}

TEST_F(Layers, RemoveAndEvictFromAllTiers) {
  open();
  for (const std::string_view key : {"removed", "evicted"}) {
    ASSERT_TRUE(put(key, "value"));
    EXPECT_EQ(get(key), "value");
  }
  press();
  EXPECT_TRUE(is_in(1, "removed"));
  EXPECT_TRUE(is_in(1, "evicted"));
  ASSERT_TRUE(cache_->remove("removed"));
  cache_->evict("evicted");
  EXPECT_FALSE(cache_->peek("removed"));
  EXPECT_FALSE(cache_->peek("evicted"));
  EXPECT_EQ(get("removed"), "(none)");
  EXPECT_EQ(get("evicted"), "value");
}

TEST_F(Layers, PinInTheFirstTier) {
  open();
  source_->set("a", "one");
  EXPECT_FALSE(*cache_->pin("nothing", 0));
  EXPECT_TRUE(*cache_->pin("a", 0));
  press(3);
  EXPECT_TRUE(is_in(0, "a"));
  EXPECT_TRUE(cache_->unpin("a"));
  press();
  EXPECT_FALSE(is_in(0, "a"));
  // Also what lies further down.
  EXPECT_EQ(get("a"), "one");
  press();
  EXPECT_TRUE(*cache_->pin("a", 0));
  EXPECT_TRUE(is_in(0, "a"));
  EXPECT_FALSE(*cache_->pin("large", 0));
}

// A tier that returns what it likes.
class LyingTier final : public Tier {
 public:
  std::string_view name() const override { return "liar"; }
  Handle get(const Key&) override {
    Handle handle = handle_of_text(noise(100, ++count_));
    handle.set_encoding(static_cast<std::uint8_t>(count_ % 256), count_ * 37 % 5000);
    return handle.method() == 0 ? Handle() : handle;
  }
  bool put(const Key&, const Handle&, const PutOptions&) override { return count_ % 2 == 0; }
  bool remove(const Key&) override { return false; }
  bool may_contain(const Key&) const override { return count_ % 3 == 0; }
  bool pin(const Key&, std::int64_t) override { return false; }
  bool unpin(const Key&) override { return false; }
  void each(const Visit&) const override {}
  void set_capacity(const Capacity&) override {}
  Capacity capacity() const override { return {}; }
  TierStats stats() const override { return {}; }
  void maintain() override {}
  bool is_persistent() const override { return true; }
  void set_owner(TierOwner*) override {}

 private:
  std::uint64_t count_ = 0;
};

// Keeps nothing.
class EmptyTier : public Tier {
 public:
  std::string_view name() const override { return "empty"; }
  Handle get(const Key&) override { return {}; }
  bool put(const Key&, const Handle&, const PutOptions&) override { return false; }
  bool remove(const Key&) override { return false; }
  bool may_contain(const Key&) const override { return false; }
  bool pin(const Key&, std::int64_t) override { return false; }
  bool unpin(const Key&) override { return false; }
  void each(const Visit&) const override {}
  void set_capacity(const Capacity&) override {}
  Capacity capacity() const override { return {}; }
  TierStats stats() const override { return {}; }
  void maintain() override {}
  void set_owner(TierOwner*) override {}
};

// Tells its owner of an entry at the last moment, as a recovery does that ends with its tier.
class LateTier final : public EmptyTier {
 public:
  ~LateTier() override { tell(); }
  void set_owner(TierOwner* owner) override {
    if (owner_ == nullptr) owner_ = owner;
  }

 private:
  void tell() {
    const Key key("left late");
    Removal removal{key.bytes, key.hash, handle_of_text("value"), Cause::evicted, true};
    removal.version = owner_->version(key.hash);
    owner_->left(removal);
  }

  TierOwner* owner_ = nullptr;
};

TEST_F(Layers, ListenToTheirTiersToTheEnd) {
  std::vector<std::unique_ptr<Tier>> tiers;
  for (int i = 0; i < 3; ++i) tiers.push_back(std::make_unique<LateTier>());
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  cache_.reset();
}

// Waits to be looked after at a gate.
class GatedTier final : public EmptyTier {
 public:
  explicit GatedTier(Gate& gate) : gate_(gate) {}
  void maintain() override { gate_.pass(); }

 private:
  Gate& gate_;
};

// Outlives the process, and tells a test of what is done to it.
class WatchedTier final : public EmptyTier {
 public:
  explicit WatchedTier(std::function<void(std::string_view what)> watch)
      : watch_(std::move(watch)) {}
  bool put(const Key&, const Handle&, const PutOptions&) override {
    watch_("put");
    return true;
  }
  bool remove(const Key&) override {
    watch_("remove");
    return true;
  }
  bool is_persistent() const override { return true; }

 private:
  const std::function<void(std::string_view)> watch_;
};

// A get that has passed a tier already may find the value in the next; the gets after it must not
// find an older one in the first.
TEST_F(Layers, ShowANewValueBelowOnlyWhenTheOldOneIsGone) {
  std::string seen;
  std::vector<std::unique_ptr<Tier>> tiers;
  tiers.push_back(memory_tier({{256 * kKiB, 0}, {}, now_ms_}, "lru", {}, 1));
  Tier& first = *tiers[0];
  tiers.push_back(std::make_unique<WatchedTier>([&](std::string_view what) {
    const Handle above = first.get(Key("a"));
    seen += std::string(what) + " below " + (above ? text_of(above) : "nothing") + ", ";
  }));
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  ASSERT_TRUE(put("a", "old"));
  seen.clear();
  ASSERT_TRUE(put("a", "new"));
  EXPECT_EQ(seen, "put below nothing, ");
  // A pinned one stays where it is, so that which lies below has to go before.
  ASSERT_TRUE(*cache_->pin("a", 0));
  seen.clear();
  ASSERT_TRUE(put("a", "newer"));
  EXPECT_EQ(seen, "remove below new, put below newer, ");
}

TEST_F(Layers, KeepThePinOfAKeyThatIsWritten) {
  std::vector<std::unique_ptr<Tier>> tiers;
  for (int i = 0; i < 2; ++i) {
    tiers.push_back(std::make_unique<DiskTierOfTest>(TierSetup{{}, {}, now_ms_}, "fifo"));
  }
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  ASSERT_TRUE(put("a", "old"));
  ASSERT_TRUE(*cache_->pin("a", 0));
  const std::vector<std::string_view> keys{"b", "a"};
  const std::vector<Handle> values{handle_of_text("other"), handle_of_text("new")};
  ASSERT_TRUE(cache_->put_batch(keys, values, {}));
  EXPECT_TRUE(cache_->tier(0).is_pinned(Key("a")));
  EXPECT_FALSE(cache_->tier(0).is_pinned(Key("b")));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(text_of(cache_->tier(i).get(Key("a"))), "new");
    EXPECT_EQ(text_of(cache_->tier(i).get(Key("b"))), "other");
  }
}

// Does not know what it has without asking, and counts how often it is asked.
class ServerTier final : public EmptyTier {
 public:
  Handle get(const Key& key) override {
    ++calls;
    return find(key);
  }
  void get_batch(std::span<const Key> keys, std::span<Handle> out) override {
    ++calls;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!out[i]) out[i] = find(keys[i]);
    }
  }
  bool put(const Key& key, const Handle& value, const PutOptions& options) override {
    put_batch({&key, 1}, {&value, 1}, options);
    return true;
  }
  void put_batch(std::span<const Key> keys, std::span<const Handle> values,
                 const PutOptions&) override {
    ++calls;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      values_[std::string(keys[i].bytes)] = values[i];
    }
  }
  bool remove(const Key& key) override { return values_.erase(std::string(key.bytes)) > 0; }
  bool may_contain(const Key&) const override { return true; }
  bool knows_its_keys() const override { return false; }
  bool is_persistent() const override { return true; }

  Handle find(const Key& key) const {
    const auto found = values_.find(std::string(key.bytes));
    return found != values_.end() ? found->second : Handle();
  }
  void flush() { values_.clear(); }

  int calls = 0;

 private:
  std::map<std::string, Handle> values_;
};

TEST_F(Layers, SendValuesBackToAServerThatLostThem) {
  auto made = std::make_unique<ServerTier>();
  ServerTier& server = *made;
  std::vector<std::unique_ptr<Tier>> tiers;
  tiers.push_back(memory_tier({{256 * kKiB, 0}, {}, now_ms_}, "lru", {}, 1));
  tiers.push_back(std::move(made));
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  ASSERT_TRUE(put("a", "one"));
  EXPECT_EQ(get("a"), "one");
  server.flush();
  press();
  EXPECT_EQ(text_of(server.find(Key("a"))), "one");
}

TEST_F(Layers, MoveValuesUpToAServerAndAskItForManyAtOnce) {
  auto made = std::make_unique<ServerTier>();
  ServerTier& server = *made;
  std::vector<std::unique_ptr<Tier>> tiers;
  tiers.push_back(std::move(made));
  tiers.push_back(std::make_unique<DiskTierOfTest>(TierSetup{{}, {}, now_ms_}, "fifo"));
  options_.promote_after = 1;
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  const std::vector<std::string_view> keys{"a", "b", "c"};
  std::vector<Handle> values;
  for (const std::string_view key : keys) values.push_back(handle_of_text(key));
  ASSERT_TRUE(cache_->put_batch(keys, values, {}));
  EXPECT_EQ(server.calls, 1);
  server.calls = 0;
  const auto gets = cache_->get_batch(keys);
  EXPECT_EQ(server.calls, 1);
  while (const auto got = gets->next()) EXPECT_EQ(text_of(*got->value), keys[got->index]);
  EXPECT_EQ(gets->counts().tiers[0], 3U);
  server.flush();
  EXPECT_EQ(get("a"), "a");
  EXPECT_EQ(text_of(server.find(Key("a"))), "a");
}

TEST_F(Layers, GiveUpAMoveWhoseKeyIsBeingWritten) {
  options_.promote_after = 1;
  open();
  ASSERT_TRUE(put("a", "one"));
  EXPECT_EQ(get("a"), "one");
  press();
  ASSERT_TRUE(is_in(1, "a"));
  Gate gate;
  source_->after_put = [&] { gate.pass(); };
  std::thread writer([&] { EXPECT_TRUE(put("a", "two")); });
  gate.wait_for(1);
  EXPECT_EQ(get("a"), "one");
  EXPECT_FALSE(is_in(0, "a"));
  EXPECT_EQ(cache_->stats().promotions_dropped, 1U);
  gate.open();
  writer.join();
  EXPECT_EQ(get("a"), "two");
}

TEST_F(Layers, EndTheProcessWhenACallbackWritesThroughThem) {
  const auto write_again = [this](const Removal&) { static_cast<void>(put("other", "value")); };
  std::vector<std::unique_ptr<Tier>> tiers;
  tiers.push_back(memory_tier({{256 * kKiB, 0}, write_again, now_ms_}, "lru", {}, 1));
  options_.clock = &clock_;
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  ASSERT_TRUE(put("a", "one"));
  EXPECT_DEATH(static_cast<void>(put("a", "two")), "callback_uses_its_cache");
}

TEST_F(Layers, LookAfterTheirTiersUnasked) {
  Gate gate;
  gate.open();
  std::vector<std::unique_ptr<Tier>> tiers;
  tiers.push_back(std::make_unique<GatedTier>(gate));
  options_.maintain_every = std::chrono::milliseconds(1);
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  gate.wait_for(3);
  cache_.reset();
}

TEST_F(Layers, EndPinsAndReportWhatExpiredWhenTheyAreMaintained) {
  std::vector<std::string> expired;
  const auto note = [&](const Removal& removal) {
    if (removal.cause == Cause::expired) expired.emplace_back(removal.key);
  };
  std::vector<std::unique_ptr<Tier>> tiers;
  tiers.push_back(memory_tier({{256 * kKiB, 0}, note, now_ms_}, "lru", {}, 1));
  options_.clock = &clock_;
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  source_->set("pinned", "value");
  ASSERT_TRUE(*cache_->pin("pinned", now_ms_() + 1000));
  const std::string value = "value";
  ASSERT_TRUE(cache_->put("brief", std::as_bytes(std::span(value)), {now_ms_() + 1000}));
  cache_->maintain();
  EXPECT_EQ(cache_->tier(0).stats().pinned_items, 1U);
  EXPECT_TRUE(expired.empty());
  clock_.advance(std::chrono::seconds(2));
  cache_->maintain();
  EXPECT_EQ(cache_->tier(0).stats().pinned_items, 0U);
  EXPECT_EQ(expired, std::vector<std::string>{"brief"});
  EXPECT_EQ(cache_->tier(0).stats().items, 1U);
}

TEST_F(Layers, NeverFailForATierThatLies) {
  std::vector<std::unique_ptr<Tier>> tiers;
  tiers.push_back(memory_tier({{64 * kKiB, 0}, {}, now_ms_}, "lru"));
  tiers.push_back(std::make_unique<LyingTier>());
  options_.clock = &clock_;
  cache_ = make_layered_cache(std::move(tiers), source_, options_);
  for (int i = 0; i < 2000; ++i) source_->set(std::to_string(i), noise(500, 1));
  for (int i = 0; i < 2000; ++i) {
    const std::string value = get(std::to_string(i));
    if (value == noise(500, 1)) continue;
    // No checksum stands between the layers: a form that happens to decode is believed.
    EXPECT_LE(value.size(), 5000U);
  }
  EXPECT_GT(cache_->stats().decode_errors, 1000U);
  EXPECT_EQ(cache_->stats().load_errors, 0U);
}

TEST_F(Layers, WorkWithoutAnyTier) {
  cache_ = make_layered_cache({}, source_, options_);
  ASSERT_TRUE(put("a", "one"));
  EXPECT_EQ(get("a"), "one");
  EXPECT_EQ(source_->loads("a"), 1);
  EXPECT_FALSE(*cache_->pin("a", 0));
  EXPECT_FALSE(cache_->unpin("a"));
  cache_->settle();
}

}  // namespace
}  // namespace varve::cache
