// Many threads use a cache of several tiers, and everything that they get must be explainable.
//
//   VARVE_HISTORY_OPS   operations of each test (default: 50,000)
//   VARVE_HISTORY_SEED  what to draw from (default: 1)
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "base/pool.h"
#include "cache/forwarding_tier.h"
#include "cache/layered/history_log.h"
#include "varve/cache/layered.h"

namespace varve::cache {
namespace {

constexpr int kThreads = 8;
constexpr std::uint64_t kKiB = 1024;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Lets other threads run in the middle of things, and may say that it outlives the process.
class YieldingTier final : public ForwardingTier {
 public:
  YieldingTier(std::unique_ptr<Tier> tier, bool is_persistent, std::uint64_t seed)
      : ForwardingTier(std::move(tier)), is_persistent_(is_persistent), random_(seed) {}

  Handle get(const Key& key) override {
    const Around around(*this);
    return tier_->get(key);
  }
  void get_batch(std::span<const Key> keys, std::span<Handle> out) override {
    const Around around(*this);
    tier_->get_batch(keys, out);
  }
  bool put(const Key& key, const Handle& value, const PutOptions& options) override {
    const Around around(*this);
    return tier_->put(key, value, options);
  }
  bool remove(const Key& key) override {
    const Around around(*this);
    return tier_->remove(key);
  }
  bool may_contain(const Key& key) const override {
    const Around around(*this);
    return tier_->may_contain(key);
  }
  bool is_persistent() const override { return is_persistent_; }

 private:
  struct Around {
    explicit Around(const YieldingTier& of) : tier(of) { tier.yield(); }
    ~Around() { tier.yield(); }
    Around(const Around&) = delete;
    Around& operator=(const Around&) = delete;
    const YieldingTier& tier;
  };
  void yield() const {
    if (random_.below(16) == 0) std::this_thread::yield();
  }

  const bool is_persistent_;
  mutable base::Random random_;
};

class HistoryTest : public testing::TestWithParam<std::string_view> {
 protected:
  HistoryTest()
      : seed_(from_environment("VARVE_HISTORY_SEED", 1)),
        ops_(from_environment("VARVE_HISTORY_OPS", 50'000)),
        source_(std::make_shared<HistorySource>(histories_, seed_)) {}

  void open(bool has_persistent) {
    const auto now_ms = [this] { return histories_.now_ms(); };
    std::vector<std::unique_ptr<Tier>> tiers;
    const auto add = [&](std::uint64_t bytes, bool is_compressed, bool is_persistent) {
      const auto encode = is_compressed ? compressed() : std::function<Handle(const Handle&)>();
      auto tier = memory_tier({{bytes, 0}, {}, now_ms}, GetParam(), encode, is_compressed ? 2 : 1);
      tiers.push_back(
          std::make_unique<YieldingTier>(std::move(tier), is_persistent, seed_ + tiers.size()));
    };
    add(160 * kKiB, false, false);
    add(200 * kKiB, true, false);
    if (has_persistent) {
      // fifo gives up whole segments, all others entries.
      tiers.push_back(std::make_unique<YieldingTier>(
          std::make_unique<DiskTierOfTest>(TierSetup{{400 * kKiB, 0}, {}, now_ms}, GetParam()),
          true, seed_ + tiers.size()));
    }
    options_.clock = &histories_.clock();
    options_.negative_ttl = std::chrono::milliseconds(20);
    options_.move_bytes_max = 100 * kKiB;
    options_.encode = compressed();
    cache_ = make_layered_cache(std::move(tiers), source_, options_);
  }

  void run();
  void work(std::uint64_t thread);
  void one_step(base::Random& random);
  void get_one(std::uint64_t key);
  void get_many(base::Random& random);
  void peek(std::uint64_t key);
  void put_one(base::Random& random, std::uint64_t key);
  void remove(std::uint64_t key);
  void rarely(base::Random& random, std::uint64_t key);
  void judge(std::uint64_t key, const Handle& value, std::size_t floor, std::int64_t began_ms,
             const char* what);
  void blame(std::uint64_t key, const std::string& what);
  void check_end();

  static std::uint64_t any_key(base::Random& random) {
    return random.below(Histories::kKeys) >> random.below(6);  // some are hot
  }

  const std::uint64_t seed_;
  const std::uint64_t ops_;
  Histories histories_;
  std::unique_ptr<base::Pool> pool_ = base::make_thread_pool(1);
  std::shared_ptr<HistorySource> source_;
  LayeredOptions options_;
  std::unique_ptr<LayeredCache> cache_;
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> values_{0}, absent_{0}, errors_{0}, blamed_{0};
};

INSTANTIATE_TEST_SUITE_P(Policies, HistoryTest, testing::ValuesIn(policy_names()),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase(name, '-');
                           return name;
                         });

void HistoryTest::blame(std::uint64_t key, const std::string& what) {
  if (blamed_++ < 5) ADD_FAILURE() << "key " << key << ": " << what << "; seed " << seed_;
}

void HistoryTest::judge(std::uint64_t key, const Handle& value, std::size_t floor,
                        std::int64_t began_ms, const char* what) {
  KeyHistory& history = histories_.of(key);
  if (!value) {
    ++absent_;
    if (!history.explains_absence(floor, histories_.now_ms())) {
      blame(key, std::string(what) + " found nothing, which was not so since state " +
                     std::to_string(floor));
    }
    return;
  }
  ++values_;
  NamedValue named;
  if (!NamedValue::read(value.bytes(), named) || named.key != key) {
    blame(key, std::string(what) + " returned bytes that are no value of it");
  } else if (const char* fault = history.fault_of(named.number, floor, began_ms)) {
    blame(key, std::string(what) + " returned value " + std::to_string(named.number) + ", which " +
                   fault);
  }
}

void HistoryTest::get_one(std::uint64_t key) {
  const std::size_t floor = histories_.of(key).floor();
  const std::int64_t began_ms = histories_.now_ms();
  const Result<Handle> value = cache_->get(Histories::key_text(key));
  if (!value) {
    ++errors_;
    return;
  }
  judge(key, *value, floor, began_ms, "get");
}

void HistoryTest::peek(std::uint64_t key) {
  const std::size_t floor = histories_.of(key).floor();
  const std::int64_t began_ms = histories_.now_ms();
  // That no tier has a value says nothing.
  if (const Handle value = cache_->peek(Histories::key_text(key))) {
    judge(key, value, floor, began_ms, "peek");
  }
}

void HistoryTest::get_many(base::Random& random) {
  const std::size_t count = 1 + random.below(12);
  std::vector<std::uint64_t> keys(count);
  std::vector<std::string> texts;
  std::vector<std::size_t> floors;
  for (std::uint64_t& key : keys) {
    key = any_key(random);
    texts.push_back(Histories::key_text(key));
    floors.push_back(histories_.of(key).floor());
  }
  const std::int64_t began_ms = histories_.now_ms();
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const auto gets = cache_->get_batch(views);
  // Some are not pulled to the end.
  std::size_t left = random.below(4) == 0 ? random.below(count) : count + 1;
  std::size_t pulled = 0;
  for (; left > 0; --left) {
    const auto got = gets->next();
    if (!got) break;
    ++pulled;
    if (!got->value) {
      ++errors_;
      continue;
    }
    judge(keys[got->index], *got->value, floors[got->index], began_ms, "batch");
  }
  if (left == 1 && pulled != count) blame(keys[0], "a batch lost a key");
  done_ += count - 1;
}

void HistoryTest::put_one(base::Random& random, std::uint64_t key) {
  KeyHistory& history = histories_.of(key);
  const NamedValue named{key, history.next_number()};
  const std::size_t bytes = random.below(std::uint64_t{1} << (4 + random.below(11)));
  const std::int64_t now_ms = histories_.now_ms();
  const bool expires = random.below(4) == 0;
  const PutOptions options{expires ? now_ms + 1 + static_cast<std::int64_t>(random.below(200)) : 0};
  const Handle value = named.make(bytes);
  const std::string text = Histories::key_text(key);
  const std::string_view view = text;
  const Status put = random.below(2) == 0 ? cache_->put(view, value.bytes(), options)
                                          : cache_->put_batch({&view, 1}, {&value, 1}, options);
  if (put) history.acknowledge(named.number);
}

void HistoryTest::remove(std::uint64_t key) {
  KeyHistory& history = histories_.of(key);
  const std::size_t begun = history.count();
  if (cache_->remove(Histories::key_text(key))) history.acknowledge_removal(begun);
}

void HistoryTest::rarely(base::Random& random, std::uint64_t key) {
  const std::string text = Histories::key_text(key);
  switch (random.below(6)) {
    case 0:
      (void)cache_->pin(text, histories_.now_ms() + static_cast<std::int64_t>(random.below(100)));
      return;
    case 1:
      cache_->unpin(text);
      return;
    case 2:
      cache_->tier(random.below(cache_->tier_count())).maintain();
      return;
    case 3:
      cache_->tier(random.below(cache_->tier_count()))
          .set_capacity({(60 + random.below(160)) * kKiB, 0});
      return;
    case 4:
      if (random.below(10) == 0) cache_->settle();
      return;
    default:
      histories_.clock().advance(std::chrono::milliseconds(random.below(50)));
      return;
  }
}

void HistoryTest::one_step(base::Random& random) {
  const std::uint64_t key = any_key(random);
  const std::uint64_t action = random.below(100);
  if (action < 58) return get_one(key);
  if (action < 64) return get_many(random);
  if (action < 84) return put_one(random, key);
  if (action < 89) return remove(key);
  if (action < 93) return cache_->evict(Histories::key_text(key));
  if (action < 97) return peek(key);
  rarely(random, key);
}

void HistoryTest::work(std::uint64_t thread) {
  base::Random random(seed_ * 1000 + thread);
  // Handles that stay while their entries go: more than a thread has words for.
  struct Kept {
    Handle value;
    NamedValue named;
  };
  std::vector<Kept> kept(thread % 2 == 0 ? 4 : 20);
  while (done_.fetch_add(1) < ops_) {
    one_step(random);
    if (random.below(8) != 0) continue;
    Kept& old = kept[random.below(kept.size())];
    NamedValue now;
    if (old.value && (!NamedValue::read(old.value.bytes(), now) || now.key != old.named.key ||
                      now.number != old.named.number)) {
      blame(old.named.key, "a handle changed");
    }
    old.value = cache_->peek(Histories::key_text(any_key(random)));
    if (old.value) NamedValue::read(old.value.bytes(), old.named);
  }
}

// When all is quiet every key has exactly the newest value of the last layer.
void HistoryTest::check_end() {
  source_->calm_down();
  cache_->settle();
  for (std::uint64_t key = 0; key < Histories::kKeys; ++key) {
    const KeyHistory::State newest = histories_.of(key).newest();
    const Result<Handle> value = cache_->get(Histories::key_text(key));
    ASSERT_TRUE(value);
    NamedValue named;
    if (*value) NamedValue::read((*value).bytes(), named);
    const bool is_gone = newest.is_absent(histories_.now_ms());
    EXPECT_EQ(named.number, is_gone ? 0 : newest.number) << "key " << key;
  }
  cache_->settle();
  for (const auto& [name, stats] : cache_->stats().tiers) {
    const std::uint64_t left = stats.evicted + stats.expired + stats.replaced + stats.removed;
    EXPECT_EQ(stats.insertions - left, stats.items) << name;
    EXPECT_EQ(stats.held_bytes, 0U) << name;
  }
  for (std::size_t i = 0; i < cache_->tier_count(); ++i) {
    EXPECT_LE(cache_->tier(i).stats().resident_bytes, cache_->tier(i).capacity().bytes);
  }
}

void HistoryTest::run() {
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) threads.emplace_back([this, t] { work(t); });
  for (auto& thread : threads) thread.join();
  check_end();
  const LayeredStats stats = cache_->stats();
  std::cout << "seed " << seed_ << ": " << values_ << " values and " << absent_
            << " absences explained, " << errors_ << " failed loads, hits";
  for (const auto& tier : stats.tiers) std::cout << ' ' << tier.stats.hits;
  std::cout << ", loads " << stats.loads << ", promotions " << stats.promotions << ", demotions "
            << stats.demotions << ", stale values dropped " << stats.stale_dropped << '\n';
  EXPECT_EQ(blamed_, 0U);
  EXPECT_GT(values_, 0U);
  cache_.reset();
}

TEST_P(HistoryTest, EverythingThatThreadsGetCanBeExplained) {
  open(false);
  run();
}

TEST_P(HistoryTest, EverythingCanBeExplainedAbovePersistentTiersAndWithAPool) {
  options_.pool = pool_.get();
  options_.exclusive = true;
  open(true);
  run();
}

}  // namespace
}  // namespace varve::cache
