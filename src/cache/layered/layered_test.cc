// How values move between the tiers of a LayeredCache.
#include "varve/cache/layered.h"

#include "base/pool.h"
#include "cache/layered/moves.h"
#include "cache/layered/test_layers.h"

namespace varve::cache {
namespace {

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
