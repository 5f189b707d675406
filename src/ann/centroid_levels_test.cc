#include "ann/centroid_levels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "ann/centroid_ranking.h"
#include "ann/test_data.h"

namespace varve::ann {
namespace {

using Ranked = CentroidSet::Ranked;

constexpr float kNoRatio = std::numeric_limits<float>::infinity();
constexpr std::size_t kNoLevels = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kQueries = 60;

ProbePlan plan_of(std::uint32_t nprobe) { return {nprobe, nprobe, kNoRatio}; }

struct Model {
  CentroidSet centroids;
  kernels::Rotation rotation;
  std::vector<float> queries;

  // The last rows are queries.
  explicit Model(const Generated& data) : rotation(data.dim, 11) {
    const auto middle = data.values.end() - static_cast<std::ptrdiff_t>(kQueries * data.dim);
    centroids = CentroidSet({data.values.begin(), middle}, data.dim);
    queries.assign(middle, data.values.end());
  }
  const float* query(std::size_t q) const { return queries.data() + q * centroids.dim(); }
  kernels::SignTable table(std::size_t q) const {
    std::vector<float> rotated(rotation.padded_dim());
    rotation.apply(query(q), rotated.data());
    kernels::SignTable table;
    table.set(rotated.data(), rotation.padded_dim());
    return table;
  }
  std::vector<Ranked> visited(std::size_t q, const ProbePlan& plan) const {
    std::vector<Ranked> all;
    centroids.rank(query(q), centroids.size(), all);
    all.resize(probes_of(plan, all));
    return all;
  }
  // Of what the plan visits; expects an order by distance.
  double recall(const CentroidRanking& ranking, const ProbePlan& plan) const {
    std::size_t right = 0, wanted_count = 0;
    std::vector<Ranked> found;
    for (std::size_t q = 0; q < kQueries; ++q) {
      ranking.rank(query(q), table(q), plan, found);
      EXPECT_TRUE(std::is_sorted(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return a.distance < b.distance;
      }));
      const auto wanted = visited(q, plan);
      for (const Ranked& one : wanted) {
        right += std::any_of(found.begin(), found.end(), [&](const Ranked& other) {
          return other.index == one.index && other.distance == one.distance;
        });
      }
      wanted_count += wanted.size();
    }
    return static_cast<double>(right) / static_cast<double>(wanted_count);
  }
};

Generated clustered(std::size_t count) {
  return generate({.rows = count + kQueries, .dim = 64, .clumps = 60, .latent = 8}, count);
}

Generated uniform(std::size_t count) {
  return generate({.rows = count + kQueries, .dim = 64, .clumps = 1, .latent = 64}, count);
}

TEST(CentroidLevels, FindWhatAScanOfAllFinds) {
  constexpr std::size_t kFrom = 3000;
  for (const std::size_t count : {kFrom - 1, kFrom, kFrom + 1, std::size_t{12'000}}) {
    for (const bool is_uniform : {false, true}) {
      const Model model(is_uniform ? uniform(count) : clustered(count));
      const CentroidRanking ranking(model.centroids, model.rotation, kFrom);
      const CentroidRanking all(model.centroids, model.rotation, kNoLevels);
      EXPECT_EQ(ranking.resident_bytes() > all.resident_bytes(), count >= kFrom);
      for (const std::uint32_t nprobe : {1U, 10U, 64U, 200U}) {
        EXPECT_GE(model.recall(ranking, plan_of(nprobe)), 0.99)
            << count << (is_uniform ? " uniform, " : " clustered, ") << nprobe;
      }
      for (const ProbePlan plan : {ProbePlan{300, 8, 1.3F}, ProbePlan{2000, 64, 1.1F}}) {
        EXPECT_GE(model.recall(ranking, plan), 0.99)
            << count << (is_uniform ? " uniform, " : " clustered, ") << plan.ratio;
      }
    }
  }
}

// More than two levels of nodes, and few of the codes are scanned.
TEST(CentroidLevels, SkipMostOfManyCentroids) {
  const Model model(clustered(40'000));
  const CentroidRanking all(model.centroids, model.rotation, kNoLevels);
  const CentroidRanking ranking(model.centroids, model.rotation);
  EXPECT_GT(ranking.resident_bytes(), all.resident_bytes());
  const CentroidLevels levels(model.centroids, model.rotation,
                              [&](const float* query, std::size_t count, std::vector<Ranked>& out) {
                                model.centroids.rank(query, count, out);
                              });
  for (const std::uint32_t nprobe : {10U, 64U, 200U}) {
    const ProbePlan plan = plan_of(nprobe);
    ASSERT_TRUE(levels.is_for(plan));
    EXPECT_GE(model.recall(ranking, plan), 0.99) << nprobe;
    std::size_t scanned = 0;
    LevelScratch scratch;
    for (std::size_t q = 0; q < kQueries; ++q) {
      ASSERT_TRUE(levels.walk(model.query(q), model.table(q), plan, scratch));
      EXPECT_GE(scratch.count, nprobe);
      scanned += scratch.codes_scanned;
    }
    EXPECT_LT(scanned, kQueries * 40'000 / 4) << nprobe;
  }
}

TEST(CentroidLevels, AreNotForPlansThatVisitMuchOrDataWithoutStructure) {
  const Model near(clustered(4000)), far(uniform(4000));
  const auto levels_of = [](const Model& model) {
    return CentroidLevels(model.centroids, model.rotation,
                          [&](const float* query, std::size_t count, std::vector<Ranked>& out) {
                            model.centroids.rank(query, count, out);
                          });
  };
  const auto levels = levels_of(near);
  EXPECT_TRUE(levels.is_for(plan_of(32)));
  EXPECT_FALSE(levels.is_for(plan_of(2000)));
  EXPECT_FALSE(levels_of(far).is_for(plan_of(32)));
  EXPECT_FALSE(CentroidLevels().is_for(plan_of(1)));
  const CentroidRanking ranking(near.centroids, near.rotation, 1);
  for (const std::uint32_t nprobe : {2000U, 3999U, 4000U, 100'000U}) {
    EXPECT_GE(near.recall(ranking, plan_of(nprobe)), nprobe >= 4000 ? 1.0 : 0.998);
  }
}

TEST(CentroidLevels, AreTheSameForTheSameCentroids) {
  const Model model(clustered(6000));
  const CentroidRanking one(model.centroids, model.rotation, 1);
  const CentroidRanking other(model.centroids, model.rotation, 1);
  EXPECT_EQ(one.resident_bytes(), other.resident_bytes());
  std::vector<Ranked> a, b;
  for (std::size_t q = 0; q < kQueries; ++q) {
    one.rank(model.query(q), model.table(q), plan_of(64), a);
    other.rank(model.query(q), model.table(q), plan_of(64), b);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i].index, b[i].index);
  }
}

TEST(CentroidLevels, EqualCentroidsGoByIndex) {
  const Model model({64, std::vector<float>((3000 + kQueries) * 64, 3.0F)});
  const CentroidRanking ranking(model.centroids, model.rotation, 1);
  std::vector<Ranked> found;
  ranking.rank(model.query(0), model.table(0), plan_of(50), found);
  ASSERT_EQ(found.size(), 50U);
  for (std::uint32_t i = 0; i < 50; ++i) EXPECT_EQ(found[i].index, i);
}

// What overflows is found by the scan of all, or not at all, but nothing breaks.
TEST(CentroidLevels, StandHugeValues) {
  auto data = clustered(3000);
  for (std::size_t i = 0; i < data.values.size(); i += 97) data.values[i] *= 1e19F;
  const Model model(data);
  const CentroidRanking ranking(model.centroids, model.rotation, 1);
  std::vector<Ranked> found;
  for (std::size_t q = 0; q < kQueries; ++q) {
    ranking.rank(model.query(q), model.table(q), plan_of(20), found);
    EXPECT_EQ(found.size(), 20U);
  }
}

}  // namespace
}  // namespace varve::ann
