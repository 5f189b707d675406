#include "cache/policy/forecast.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "cache/policy/duels.h"
#include "cache/replay.h"

namespace varve::cache {
namespace {

constexpr std::uint64_t kHash = 0x9E3779B97F4A7C15;

std::uint64_t misses(std::string_view name, const Trace& trace, std::uint64_t capacity) {
  const auto policy = make_policy(name, 1);
  EXPECT_TRUE(policy);
  return count_misses(trace, capacity, **policy);
}

TEST(Forecast, ExpectsMoreOfWhatIsOnTheRise) {
  Forecast forecast;
  forecast.reserve(1'000);
  base::Random random(5);
  // Both are asked for 40 times among others: one at first, one at last.
  for (int i = 0; i < 8'000; ++i) {
    forecast.add(random.below(2'000) * kHash);
    if (i % 100 == 0) forecast.add((i < 4'000 ? 5'000U : 6'000U) * kHash);
  }
  EXPECT_GT(forecast.uses(6'000 * kHash), forecast.uses(5'000 * kHash));
  EXPECT_GE(forecast.uses(7'000 * kHash), 0);
}

TEST(Duels, TrustsAForecastThatComesTrueAndNoOther) {
  for (const bool right : {true, false}) {
    Duels duels;
    EXPECT_FALSE(duels.trusted());
    base::Random random(6);
    for (int i = 0; i < 500; ++i) {
      const std::uint64_t sooner = random.next(), later = random.next();
      duels.open(sooner, later, 100);
      duels.use(right ? sooner : later);
      duels.use(right ? later : sooner);
    }
    EXPECT_EQ(duels.trusted(), right);
  }
}

TEST(Duels, LosesTrustAgain) {
  Duels duels;
  base::Random random(7);
  for (int i = 0; i < 1'000; ++i) {
    const std::uint64_t sooner = random.next(), later = random.next();
    duels.open(sooner, later, 100);
    duels.use(i < 500 ? sooner : later);
    if (i == 499) {
      EXPECT_TRUE(duels.trusted());
    }
  }
  EXPECT_FALSE(duels.trusted());
}

// Half of the accesses are to keys by a power law, half to keys that never come again.
TEST(ForecastAdmission, KeepsScansOutOfLru) {
  base::Random random(8);
  std::vector<Access> accesses;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    accesses.push_back({random.below(1 + random.below(1 + random.below(2'000)))});
    accesses.push_back({1'000'000 + i});
  }
  const Trace trace(accesses);
  const std::uint64_t admitted = misses("lru+forecast", trace, 200);
  const std::uint64_t plain = misses("lru", trace, 200);
  // Half must miss; of the rest at least a tenth is saved.
  EXPECT_LT(static_cast<double>(admitted - 100'000), 0.9 * static_cast<double>(plain - 100'000));
}

// A window of keys moves on: what was popular never is again, so that forecasts are wrong.
TEST(ForecastAdmission, StandsBackWhereForecastsAreWrong) {
  base::Random random(9);
  std::vector<Access> accesses;
  for (std::uint64_t i = 0; i < 200'000; ++i) accesses.push_back({i / 8 + random.below(400)});
  const Trace trace(accesses);
  for (const std::uint64_t capacity : {100U, 800U}) {
    const auto plain = static_cast<double>(misses("lru", trace, capacity));
    EXPECT_LT(static_cast<double>(misses("lru+forecast", trace, capacity)), plain + 2'000);
  }
}

}  // namespace
}  // namespace varve::cache
