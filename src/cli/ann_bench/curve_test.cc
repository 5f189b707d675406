#include "cli/ann_bench/curve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace varve::cli::ann_bench {
namespace {

std::vector<CurvePoint> random_points(std::mt19937& random) {
  // Few different values, so that many are equal.
  std::vector<CurvePoint> points(random() % 30);
  for (CurvePoint& point : points) {
    point.recall = static_cast<double>(random() % 10) / 10;
    point.qps = static_cast<double>(random() % 10);
  }
  return points;
}

TEST(Curve, TheFrontIsWhatNoPointBeats) {
  constexpr unsigned seed = 20;
  std::mt19937 random(seed);
  for (int round = 0; round < 1000; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << " round " << round);
    const auto points = random_points(random);
    const auto front = pareto_front(points);
    for (std::size_t i = 1; i < front.size(); ++i) {
      EXPECT_LT(front[i - 1].recall, front[i].recall);
      EXPECT_GT(front[i - 1].qps, front[i].qps);
    }
    for (const CurvePoint& point : points) {
      const auto is_at_least = [&](const CurvePoint& other) {
        return other.recall >= point.recall && other.qps >= point.qps;
      };
      EXPECT_TRUE(point.qps <= 0 || std::any_of(front.begin(), front.end(), is_at_least));
    }
    for (const CurvePoint& kept : front) {
      const auto is_same = [&](const CurvePoint& point) {
        return point.recall == kept.recall && point.qps == kept.qps;
      };
      EXPECT_TRUE(std::any_of(points.begin(), points.end(), is_same));
      EXPECT_GT(kept.qps, 0);
    }
  }
}

TEST(Curve, BetweenPointsTheLogarithmIsLinear) {
  const auto front = pareto_front({{0.9, 1000}, {0.8, 4000}, {0.99, 100}});
  EXPECT_DOUBLE_EQ(qps_at(front, 0.9).value(), 1000);
  EXPECT_NEAR(qps_at(front, 0.85).value(), 2000, 1e-6);
  EXPECT_NEAR(qps_at(front, 0.96).value(), 1000 * std::pow(10, -2.0 / 3), 1e-6);
  EXPECT_DOUBLE_EQ(qps_at(front, 0.99).value(), 100);
}

TEST(Curve, BelowTheSweepItsFastestPointCountsAndBeyondItNothing) {
  const auto front = pareto_front({{0.9, 1000}, {0.99, 100}});
  EXPECT_DOUBLE_EQ(qps_at(front, 0.5).value(), 1000);
  EXPECT_FALSE(qps_at(front, 0.999).has_value());
  EXPECT_FALSE(qps_at({}, 0.5).has_value());
}

TEST(Curve, ABeatenPointDoesNotBendTheLine) {
  const auto with = pareto_front({{0.9, 1000}, {0.95, 50}, {0.99, 100}});
  const auto without = pareto_front({{0.9, 1000}, {0.99, 100}});
  EXPECT_DOUBLE_EQ(qps_at(with, 0.95).value(), qps_at(without, 0.95).value());
}

}  // namespace
}  // namespace varve::cli::ann_bench
