// Two tiers in memory above a last layer, for tests.
#pragma once

#include "base/manual_clock.h"
#include "cache/layered/test_source.h"
#include "varve/cache/layered.h"

namespace varve::cache {

inline constexpr std::uint64_t kKiB = 1024;

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

}  // namespace varve::cache
