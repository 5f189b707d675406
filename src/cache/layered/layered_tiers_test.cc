// How a LayeredCache treats tiers that lie, that are servers, or that watch it.
#include <thread>

#include "cache/layered/test_layers.h"

namespace varve::cache {
namespace {

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

// A tier that returns what it likes.
class LyingTier final : public EmptyTier {
 public:
  std::string_view name() const override { return "liar"; }
  Handle get(const Key&) override {
    Handle handle = handle_of_text(noise(100, ++count_));
    handle.set_encoding(static_cast<std::uint8_t>(count_ % 256), count_ * 37 % 5000);
    return handle.method() == 0 ? Handle() : handle;
  }
  bool put(const Key&, const Handle&, const PutOptions&) override { return count_ % 2 == 0; }
  bool may_contain(const Key&) const override { return count_ % 3 == 0; }
  bool is_persistent() const override { return true; }

 private:
  std::uint64_t count_ = 0;
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

}  // namespace
}  // namespace varve::cache
