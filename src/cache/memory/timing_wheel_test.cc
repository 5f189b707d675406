#include "cache/memory/timing_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/random.h"

namespace varve::cache {
namespace {

// The same by sorting.
struct Model {
  std::map<SlotId, std::int64_t> times;

  std::set<SlotId> due(std::int64_t now_ms) {
    std::set<SlotId> found;
    for (const auto& [slot, at] : times) {
      if (at <= now_ms) found.insert(slot);
    }
    for (const SlotId slot : found) times.erase(slot);
    return found;
  }
};

std::set<SlotId> advance(TimingWheel& wheel, std::int64_t now_ms) {
  std::set<SlotId> found;
  wheel.advance(now_ms, [&](SlotId slot) { EXPECT_TRUE(found.insert(slot).second) << slot; });
  return found;
}

TEST(TimingWheel, HandsOutExactlyWhatIsDueOverJumpsOfAnyLength) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    std::int64_t now = static_cast<std::int64_t>(random.below(1'000'000'000'000));
    TimingWheel wheel(now);
    Model model;
    // Up to 2^40 ms: beyond the farthest wheel.
    const auto any_time = [&] {
      return 1 + static_cast<std::int64_t>(random.next() >> (24 + random.below(40)));
    };
    for (int step = 0; step < 3000; ++step) {
      const auto slot = static_cast<SlotId>(random.below(500));
      const std::uint64_t action = random.below(8);
      if (action < 5) {
        if (wheel.holds(slot)) wheel.remove(slot);
        model.times[slot] = now + any_time();
        wheel.insert(slot, model.times[slot]);
      } else if (action < 7) {
        if (wheel.holds(slot)) wheel.remove(slot);
        model.times.erase(slot);
      } else {
        now += any_time();
        ASSERT_EQ(advance(wheel, now), model.due(now));
      }
      ASSERT_EQ(wheel.size(), model.times.size());
      ASSERT_EQ(wheel.holds(slot), model.times.contains(slot));
    }
    now += std::int64_t{1} << 42;
    EXPECT_EQ(advance(wheel, now), model.due(now));
    EXPECT_EQ(wheel.size(), 0U);
  }
}

TEST(TimingWheel, TakesTimesThatArePastOrTheEndOfTime) {
  TimingWheel wheel(1000);
  wheel.insert(1, -5);
  wheel.insert(2, 1000);
  wheel.insert(3, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(advance(wheel, 500), std::set<SlotId>{});
  EXPECT_EQ(advance(wheel, 1001), (std::set<SlotId>{1, 2}));
  EXPECT_EQ(advance(wheel, std::int64_t{1} << 60), std::set<SlotId>{});
  EXPECT_TRUE(wheel.holds(3));
  wheel.remove(3);
  EXPECT_EQ(wheel.size(), 0U);
}

}  // namespace
}  // namespace varve::cache
