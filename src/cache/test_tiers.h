// What tests of tiers and of layers share: every kind of tier, values that can be checked.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cache/disk/memory_files.h"
#include "cache/forwarding_tier.h"
#include "varve/cache/compress.h"
#include "varve/cache/disk.h"
#include "varve/cache/memory.h"

namespace varve::cache {

inline constexpr std::int64_t kTestStartMs = 1'700'000'000'000;

struct TierSetup {
  Capacity capacity{std::uint64_t{8} << 20, 0};
  RemovalCallback on_removal;
  std::function<std::int64_t()> now_ms = [] { return kTestStartMs; };
};

struct TierKind {
  std::string name;
  std::function<std::unique_ptr<Tier>(const TierSetup&)> make;
  bool keeps_encoded = true;  // a value that comes encoded is returned so
  bool charges_memory = true;
  bool tells_values = true;  // of entries that leave
};

inline std::unique_ptr<EvictionPolicy> policy_for_test(std::string_view name) {
  auto policy = make_policy(name, 1);
  EXPECT_TRUE(policy) << name;
  return std::move(*policy);
}

inline std::unique_ptr<Tier> memory_tier(const TierSetup& setup, std::string_view policy,
                                         std::function<Handle(const Handle&)> encode = {},
                                         std::uint32_t shards = 0) {
  MemoryOptions options;
  options.capacity = setup.capacity;
  options.encode = std::move(encode);
  options.shards = shards;
  options.on_removal = setup.on_removal;
  options.now_ms = setup.now_ms;
  return make_memory_tier(std::move(options), policy_for_test(policy));
}

// The time of a test for what wants a clock.
class ClockOfTest final : public base::Clock {
 public:
  explicit ClockOfTest(std::function<std::int64_t()> now_ms) : now_ms_(std::move(now_ms)) {}
  base::TimePoint now() const override {
    return base::TimePoint(std::chrono::milliseconds(now_ms_()));
  }
  std::int64_t wall_ms() const override { return now_ms_(); }
  void sleep_for(base::Duration) override {}

 private:
  const std::function<std::int64_t()> now_ms_;
};

// A disk tier on files in memory, with all that it needs.
class DiskTierOfTest final : public ForwardingTier {
 public:
  DiskTierOfTest(const TierSetup& setup, std::string_view policy)
      : ForwardingTier(nullptr), clock_(setup.now_ms) {
    DiskOptions options;
    options.folder = "tier";
    options.capacity = setup.capacity;
    options.on_removal = setup.on_removal;
    options.files = &files_;
    options.clock = &clock_;
    auto tier = open_disk_tier(std::move(options), policy_for_test(policy));
    EXPECT_TRUE(tier) << (tier ? "" : tier.error().message);
    tier_ = std::move(*tier);
  }

  // Uses the others to its end.
  ~DiskTierOfTest() override { tier_.reset(); }
  DiskTierOfTest(const DiskTierOfTest&) = delete;
  DiskTierOfTest& operator=(const DiskTierOfTest&) = delete;

 private:
  ClockOfTest clock_;
  MemoryFiles files_;
};

// A new kind of tier is one more line here.
inline std::vector<TierKind> tier_kinds() {
  std::vector<TierKind> kinds;
  for (const std::string_view policy : policy_names()) {
    std::string name = "ram_" + std::string(policy);
    std::erase(name, '-');
    kinds.push_back(
        {name, [policy](const TierSetup& setup) { return memory_tier(setup, policy); }, false});
  }
  kinds.push_back({"ram_compressed", [](const TierSetup& setup) {
                     return memory_tier(setup, "s3-fifo", compressed());
                   }});
  kinds.push_back({"ram_in_four_shards",
                   [](const TierSetup& setup) { return memory_tier(setup, "s3-fifo", {}, 4); },
                   false});
  for (const std::string_view policy : {"fifo", "lru"}) {
    kinds.push_back({"disk_" + std::string(policy),
                     [policy](const TierSetup& setup) {
                       return std::make_unique<DiskTierOfTest>(setup, policy);
                     },
                     true, false, false});
  }
  return kinds;
}

// Bytes that differ for each seed and do not compress.
inline std::string noise(std::size_t bytes, std::uint64_t seed) {
  std::string text(bytes, '\0');
  std::uint64_t state = seed * 0x9E3779B97F4A7C15 + 1;
  for (std::size_t i = 0; i < bytes; i += sizeof(std::uint64_t)) {
    state = state * 6364136223846793005 + 1442695040888963407;
    const std::uint64_t word = (state ^ state >> 33) * 0xFF51AFD7ED558CCD;
    std::memcpy(text.data() + i, &word, std::min(sizeof(word), bytes - i));
  }
  return text;
}
inline Handle handle_of_text(std::string_view text) {
  return Handle::copy_of(std::as_bytes(std::span(text)));
}
inline std::string text_of(const Handle& handle) {
  const auto bytes = handle.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace varve::cache
