#include "ann/kmeans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "ann/test_data.h"

namespace varve::ann {
namespace {

kernels::MatrixView view(const Generated& data) {
  return {data.values.data(), data.count(), data.dim};
}

double squared_distance(const float* a, const float* b, std::uint32_t dim) {
  double sum = 0;
  for (std::uint32_t j = 0; j < dim; ++j) {
    const double d = static_cast<double>(a[j]) - static_cast<double>(b[j]);
    sum += d * d;
  }
  return sum;
}

double nearest_distance(const float* row, std::span<const float> centroids, std::uint32_t dim) {
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c * dim < centroids.size(); ++c) {
    best = std::min(best, squared_distance(row, centroids.data() + c * dim, dim));
  }
  return best;
}

double objective(const Generated& data, std::span<const float> centroids) {
  double sum = 0;
  for (std::size_t i = 0; i < data.count(); ++i) {
    sum += nearest_distance(data.row(i), centroids, data.dim);
  }
  return sum;
}

constexpr std::uint32_t kPlainDim = 16, kCodedDim = 784;

TEST(ClusterCount, GrowsFasterThanTheSquareRootUpToAMillionRows) {
  for (const std::uint32_t dim : {kPlainDim, kCodedDim}) {
    const auto count = [&](std::uint64_t rows) { return cluster_count(rows, dim); };
    EXPECT_EQ(count(0), 1U);
    EXPECT_EQ(count(kFlatRowsMax), 1U);
    EXPECT_GT(count(kFlatRowsMax + 1), 35U);
    for (const std::uint64_t rows : {10'000U, 40'000U, 62'500U}) {
      EXPECT_NEAR(count(16 * rows), 8.0 * count(rows), 8.0) << rows;
    }
    for (const std::uint64_t rows : {1'000'000U, 4'000'000U}) {
      EXPECT_NEAR(count(4 * rows), 2.0 * count(rows), 2.0) << rows;
    }
  }
  EXPECT_EQ(cluster_count(10'000, kPlainDim), 200U);
  EXPECT_EQ(cluster_count(60'000, kCodedDim), 268U);
}

TEST(ClusterCount, TargetTimesCountHoldsAllRows) {
  for (const std::uint64_t rows : {1U, 4096U, 4097U, 60'000U, 1'000'001U}) {
    EXPECT_GE(cluster_rows_target(rows, kCodedDim) * cluster_count(rows, kCodedDim), rows) << rows;
  }
}

TEST(KMeans, FindsTheClumpsOfSeparateData) {
  const auto data = generate({.rows = 2000, .dim = 24, .clumps = 6, .latent = 1}, 11);
  const auto pool = base::make_inline_pool();
  const auto one = kmeans(view(data), data.dim, {.clusters = 1}, *pool);
  const auto many = kmeans(view(data), data.dim, {.clusters = 40, .iterations_max = 10}, *pool);
  ASSERT_EQ(one.size(), data.dim);
  ASSERT_EQ(many.size(), 40U * data.dim);
  // Between the clumps lies almost all of the spread.
  EXPECT_LT(objective(data, many), 0.05 * objective(data, one));
}

// 125 to 148 of 80 on average. Without even_out() the largest has 186 to 266.
TEST(KMeans, ClustersComeOutAboutEven) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    const auto data = generate({.rows = 8000, .dim = 24, .clumps = 30, .latent = 6}, seed);
    const auto pool = base::make_inline_pool();
    const CentroidSet centroids(
        kmeans(view(data), data.dim, {.clusters = 100, .seed = seed}, *pool), data.dim);
    std::vector<std::uint32_t> nearest(data.count());
    centroids.assign(view(data), nearest, {}, *pool);
    std::vector<std::size_t> rows(centroids.size());
    for (const std::uint32_t c : nearest) ++rows[c];
    EXPECT_LE(*std::max_element(rows.begin(), rows.end()), 170U) << seed;
  }
}

TEST(KMeans, OneClusterIsTheMean) {
  const auto data = generate({.rows = 777, .dim = 5}, 3);
  const auto pool = base::make_inline_pool();
  const auto mean = kmeans(view(data), data.dim, {.clusters = 1}, *pool);
  ASSERT_EQ(mean.size(), 5U);
  for (std::uint32_t j = 0; j < 5; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < data.count(); ++i) sum += static_cast<double>(data.row(i)[j]);
    EXPECT_NEAR(mean[j], sum / static_cast<double>(data.count()), 1e-4);
  }
}

TEST(KMeans, GivesTheSameBytesAtAnyPoolWidth) {
  const auto data = generate({.rows = 3000, .dim = 33}, 5);
  const auto inline_pool = base::make_inline_pool();
  const KMeansOptions options{.clusters = 60, .iterations_max = 8, .seed = 9};
  const auto expected = kmeans(view(data), data.dim, options, *inline_pool);
  for (const std::size_t threads : {1U, 2U, 5U}) {
    const auto pool = base::make_thread_pool(threads);
    EXPECT_EQ(kmeans(view(data), data.dim, options, *pool), expected) << threads;
  }
}

TEST(KMeans, DependsOnTheSeedAlone) {
  const auto data = generate({.rows = 600, .dim = 8}, 5);
  const auto pool = base::make_inline_pool();
  const auto first = kmeans(view(data), data.dim, {.clusters = 20, .seed = 1}, *pool);
  EXPECT_EQ(kmeans(view(data), data.dim, {.clusters = 20, .seed = 1}, *pool), first);
  EXPECT_NE(kmeans(view(data), data.dim, {.clusters = 20, .seed = 2}, *pool), first);
}

TEST(KMeans, ReturnsOneCentroidForEachDifferentRowWhenTheyAreFew) {
  const auto pool = base::make_inline_pool();
  Generated data{3, {}};
  for (int i = 0; i < 500; ++i) {
    const auto x = static_cast<float>(i % 4);
    data.values.insert(data.values.end(), {x, -x, 2 * x});
  }
  const auto centroids = kmeans(view(data), 3, {.clusters = 16}, *pool);
  ASSERT_EQ(centroids.size(), 4U * 3U);
  EXPECT_EQ(objective(data, centroids), 0);
}

TEST(KMeans, NeverReturnsMoreClustersThanRows) {
  const auto data = generate({.rows = 7, .dim = 4}, 5);
  const auto pool = base::make_inline_pool();
  EXPECT_EQ(kmeans(view(data), 4, {.clusters = 100}, *pool).size(), 7U * 4U);
  EXPECT_TRUE(kmeans({data.values.data(), 0, 4}, 4, {.clusters = 3}, *pool).empty());
}

TEST(KMeans, StaysFiniteForHugeValues) {
  auto data = generate({.rows = 400, .dim = 4}, 5);
  for (float& x : data.values) x = x > 0 ? 3e38F : -3e38F;
  const auto pool = base::make_inline_pool();
  const auto centroids = kmeans(view(data), 4, {.clusters = 8}, *pool);
  ASSERT_FALSE(centroids.empty());
  for (const float x : centroids) EXPECT_TRUE(std::isfinite(x));
}

TEST(KMeans, ReadsRowsThatStandApart) {
  const auto data = generate({.rows = 500, .dim = 6}, 8);
  Generated apart{10, std::vector<float>(500 * 10, std::numeric_limits<float>::quiet_NaN())};
  for (std::size_t i = 0; i < 500; ++i) {
    std::copy(data.row(i), data.row(i) + 6, apart.values.data() + i * 10);
  }
  const auto pool = base::make_inline_pool();
  EXPECT_EQ(kmeans({apart.values.data(), 500, 10}, 6, {.clusters = 12}, *pool),
            kmeans(view(data), 6, {.clusters = 12}, *pool));
}

struct AssignCase {
  std::size_t rows, clusters;
  std::uint32_t dim;
  float offset;  // far from the origin, products cancel
};

class Assign : public testing::TestWithParam<AssignCase> {};

TEST_P(Assign, FindsTheNearestCentroidWithinFloatError) {
  const auto [rows, clusters, dim, offset] = GetParam();
  auto data = generate({.rows = rows + clusters, .dim = dim}, 77);
  for (float& x : data.values) x += offset;
  const CentroidSet set({data.values.begin(), data.values.begin() + clusters * dim}, dim);
  const auto pool = base::make_thread_pool(1);
  std::vector<std::uint32_t> nearest(rows);
  std::vector<float> distances(rows);
  set.assign({data.row(clusters), rows, dim}, nearest, distances, *pool);
  std::vector<std::uint32_t> alone(rows);
  set.assign({data.row(clusters), rows, dim}, alone, {}, *pool);
  const double error = 2 * static_cast<double>(kernels::distance_error(dim));
  for (std::size_t i = 0; i < rows; ++i) {
    const float* row = data.row(clusters + i);
    const double best = nearest_distance(row, set.values(), dim);
    const double chosen = squared_distance(row, set.centroid(nearest[i]).data(), dim);
    ASSERT_LE(chosen, best * (1 + error)) << i;
    ASSERT_NEAR(distances[i], chosen, chosen * error) << i;
    ASSERT_LE(squared_distance(row, set.centroid(alone[i]).data(), dim), best * (1 + error));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Assign,
                         testing::Values(AssignCase{1, 1, 1, 0}, AssignCase{300, 37, 17, 0},
                                         AssignCase{129, 1500, 8, 0}, AssignCase{64, 90, 200, 0},
                                         AssignCase{200, 50, 16, 3000}));

TEST(Assign, TakesTheSmallerIndexOfEqualCentroids) {
  const CentroidSet set({5, 5, 1, 1, 1, 1, 9, 9}, 2);
  const auto pool = base::make_inline_pool();
  const std::vector<float> row = {1, 2};
  std::vector<std::uint32_t> nearest(1);
  set.assign({row.data(), 1, 2}, nearest, {}, *pool);
  EXPECT_EQ(nearest[0], 1U);
}

TEST(Rank, OrdersTheNearestFirst) {
  const auto data = generate({.rows = 301, .dim = 12}, 4);
  const CentroidSet set({data.values.begin(), data.values.begin() + 300 * 12}, 12);
  std::vector<CentroidSet::Ranked> all;
  set.rank(data.row(300), 300, all);
  ASSERT_EQ(all.size(), 300U);
  std::set<std::uint32_t> seen;
  for (std::size_t i = 0; i < all.size(); ++i) {
    seen.insert(all[i].index);
    const double true_distance =
        squared_distance(data.row(300), set.centroid(all[i].index).data(), 12);
    EXPECT_NEAR(all[i].distance, true_distance, 1e-5 * true_distance);
    if (i > 0) {
      EXPECT_LE(all[i - 1].distance, all[i].distance);
    }
  }
  EXPECT_EQ(seen.size(), 300U);
  for (const std::size_t count : {0U, 1U, 7U, 299U, 1000U}) {
    std::vector<CentroidSet::Ranked> some;
    set.rank(data.row(300), count, some);
    ASSERT_EQ(some.size(), std::min<std::size_t>(count, 300));
    for (std::size_t i = 0; i < some.size(); ++i) EXPECT_EQ(some[i].index, all[i].index);
  }
}

TEST(LocalityOrder, PutsNearCentroidsNextToEachOther) {
  const auto data = generate({.rows = 500, .dim = 20, .clumps = 25, .latent = 6}, 21);
  const CentroidSet set(data.values, 20);
  const auto pool = base::make_inline_pool();
  const auto order = locality_order(set, 1, *pool);
  ASSERT_EQ(order.size(), 500U);
  EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), 500U);
  double in_order = 0;
  double as_made = 0;
  for (std::uint32_t i = 0; i + 1 < 500; ++i) {
    in_order +=
        squared_distance(set.centroid(order[i]).data(), set.centroid(order[i + 1]).data(), 20);
    as_made += squared_distance(set.centroid(i).data(), set.centroid(i + 1).data(), 20);
  }
  EXPECT_LT(in_order, 0.4 * as_made);
  EXPECT_EQ(locality_order(set, 1, *pool), order);
}

TEST(LocalityOrder, HoldsEqualCentroidsAndNone) {
  const auto pool = base::make_inline_pool();
  EXPECT_TRUE(locality_order(CentroidSet({}, 3), 1, *pool).empty());
  const CentroidSet equal(std::vector<float>(100 * 3, 1.0F), 3);
  auto order = locality_order(equal, 1, *pool);
  std::sort(order.begin(), order.end());
  std::vector<std::uint32_t> expected(100);
  std::iota(expected.begin(), expected.end(), 0U);
  EXPECT_EQ(order, expected);
}

}  // namespace
}  // namespace varve::ann
