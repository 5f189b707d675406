#include "ann/centroid_ranking.h"

#include <gtest/gtest.h>

#include "ann/test_data.h"

namespace varve::ann {
namespace {

using Ranked = CentroidSet::Ranked;

struct Model {
  CentroidSet centroids;
  kernels::Rotation rotation;
  CentroidRanking ranking;
  Generated queries;

  Model(std::size_t count, std::uint32_t dim, std::uint64_t seed)
      : rotation(dim, seed),
        queries(generate({.rows = count + 200, .dim = dim, .clumps = 40, .latent = 12}, seed)) {
    const auto middle = queries.values.begin() + static_cast<std::ptrdiff_t>(count * dim);
    centroids = CentroidSet({queries.values.begin(), middle}, dim);
    queries.values.erase(queries.values.begin(), middle);
    ranking = CentroidRanking(centroids, rotation);
  }

  std::vector<Ranked> rank(const float* query, const ProbePlan& plan) const {
    std::vector<float> rotated(rotation.padded_dim());
    rotation.apply(query, rotated.data());
    kernels::SignTable table;
    table.set(rotated.data(), rotation.padded_dim());
    std::vector<Ranked> out;
    ranking.rank(query, table, plan, out);
    return out;
  }
};

constexpr float kNoRatio = std::numeric_limits<float>::infinity();

ProbePlan plan_of(std::size_t count) {
  const auto nprobe = static_cast<std::uint32_t>(count);
  return {nprobe, nprobe, kNoRatio};
}

// Those of `wanted` that are not found; all others have the same distance and the same order.
std::size_t missed_of(const std::vector<Ranked>& wanted, const std::vector<Ranked>& found) {
  std::size_t missed = 0, at = 0;
  for (const Ranked& one : wanted) {
    if (at < found.size() && found[at].index == one.index) {
      EXPECT_EQ(found[at].distance, one.distance);
      ++at;
    } else {
      ++missed;
    }
  }
  return missed;
}

TEST(CentroidRanking, FindsTheNearestInTheOrderOfTheirDistances) {
  for (const std::uint32_t dim : {48U, 128U, 784U}) {
    const Model model(700, dim, 20261124 + dim);
    for (const std::size_t count : {1U, 10U, 40U, 100U, 400U}) {
      std::size_t missed = 0;
      std::vector<Ranked> wanted;
      for (std::size_t q = 0; q < model.queries.count(); ++q) {
        const auto found = model.rank(model.queries.row(q), plan_of(count));
        model.centroids.rank(model.queries.row(q), count, wanted);
        ASSERT_EQ(found.size(), count);
        missed += missed_of(wanted, found);
      }
      const std::size_t one_of = count < 4 || dim < 256 ? 500 : 100;
      EXPECT_LE(missed, model.queries.count() * count / one_of) << dim << ", " << count;
    }
  }
}

TEST(CentroidRanking, VisitsWhatARatioVisits) {
  for (const std::uint32_t dim : {48U, 784U}) {
    const Model model(700, dim, 20261124 + dim);
    for (const ProbePlan plan : {ProbePlan{60, 7, 1.3F}, ProbePlan{60, 7, 2.0F},
                                 ProbePlan{700, 4, 1.1F}, ProbePlan{700, 40, 3.0F}}) {
      std::size_t missed = 0, visited = 0;
      std::vector<Ranked> wanted;
      for (std::size_t q = 0; q < model.queries.count(); ++q) {
        const auto found = model.rank(model.queries.row(q), plan);
        model.centroids.rank(model.queries.row(q), plan.nprobe, wanted);
        wanted.resize(probes_of(plan, wanted));
        visited += wanted.size();
        missed += missed_of(wanted, found);
      }
      EXPECT_LE(missed, visited / (dim < 256 ? 500 : 80)) << dim << ", " << plan.ratio;
    }
  }
}

TEST(CentroidRanking, RanksAllWhenAllAreAsked) {
  for (const std::size_t size : {1U, 5U, 33U, 100U}) {
    const Model model(size, 64, 5);
    std::vector<Ranked> wanted;
    for (const std::size_t count : {size, size + 1, std::size_t{100'000}}) {
      const auto found = model.rank(model.queries.row(0), plan_of(count));
      model.centroids.rank(model.queries.row(0), size, wanted);
      ASSERT_EQ(found.size(), size);
      for (std::size_t i = 0; i < size; ++i) EXPECT_EQ(found[i].index, wanted[i].index);
    }
  }
}

TEST(CentroidRanking, EqualCentroidsGoByIndex) {
  std::vector<float> values(200 * 16, 3.0F);
  const CentroidSet centroids(values, 16);
  const kernels::Rotation rotation(16, 1);
  const CentroidRanking ranking(centroids, rotation);
  std::vector<float> rotated(rotation.padded_dim());
  rotation.apply(values.data(), rotated.data());
  kernels::SignTable table;
  table.set(rotated.data(), rotation.padded_dim());
  std::vector<Ranked> out;
  ranking.rank(values.data(), table, plan_of(50), out);
  ASSERT_EQ(out.size(), 50U);
  for (std::uint32_t i = 0; i < 50; ++i) EXPECT_EQ(out[i].index, i);
}

}  // namespace
}  // namespace varve::ann
