#include "ann/probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "ann/test_data.h"

namespace varve::ann {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<std::uint64_t> naive_neighbors(const Generated& data, std::size_t rows,
                                           const float* query, std::uint64_t self, std::size_t k) {
  std::vector<std::pair<double, std::uint64_t>> all;
  for (std::size_t i = 0; i < rows; ++i) {
    if (i == self) continue;
    double sum = 0;
    for (std::uint32_t j = 0; j < data.dim; ++j) {
      const double d = static_cast<double>(query[j]) - static_cast<double>(data.row(i)[j]);
      sum += d * d;
    }
    all.emplace_back(sum, i);
  }
  std::sort(all.begin(), all.end());
  all.resize(std::min(k, all.size()));
  std::vector<std::uint64_t> ids;
  for (const auto& [distance, id] : all) ids.push_back(id);
  return ids;
}

TEST(TrueNeighbors, EqualsBruteForceOverRowsThatArriveInPieces) {
  const auto data = generate({.rows = 1650, .dim = 24}, 31);
  std::vector<std::uint64_t> self;
  std::vector<float> queries;
  for (std::uint64_t i = 0; i < 150; ++i) {
    // Half are rows of the set, half are not.
    const std::uint64_t row = i % 2 == 0 ? i * 7 : 1500 + i;
    self.push_back(i % 2 == 0 ? row : TrueNeighbors::kNoSelf);
    queries.insert(queries.end(), data.row(row), data.row(row) + 24);
  }
  TrueNeighbors search(queries, self, 24, 10);
  const auto pool = base::make_thread_pool(2);
  search.scan({data.row(0), 700, 24}, 0, *pool);
  search.scan({data.row(700), 800, 24}, 700, *pool);
  ASSERT_EQ(search.query_count(), 150U);
  for (std::size_t i = 0; i < 150; ++i) {
    EXPECT_EQ(search.take(i), naive_neighbors(data, 1500, search.query(i).data(), self[i], 10));
  }
}

TEST(TrueNeighbors, ReturnsFewerWhenThereAreFewer) {
  const auto data = generate({.rows = 4, .dim = 3}, 1);
  TrueNeighbors search({data.values.begin(), data.values.begin() + 3}, {0}, 3, 10);
  const auto pool = base::make_inline_pool();
  search.scan({data.row(0), 4, 3}, 0, *pool);
  EXPECT_EQ(search.take(0).size(), 3U);
}

const std::vector<format::ProbePoint> kTable = {{0.90F, 10, 8, 1.2F},   {0.95F, 10, 12, 1.3F},
                                                {0.99F, 10, 40, 1.6F},  {0.90F, 100, 16, 1.3F},
                                                {0.95F, 100, 24, 1.4F}, {0.99F, 100, 80, 1.9F}};

struct ChooseCase {
  double recall;
  std::uint32_t k;
  std::uint32_t nprobe;  // expected
  float ratio;
};

TEST(ChooseProbes, TakesTheNextPointAtOrAbove) {
  const std::vector<ChooseCase> cases = {
      {0.95, 10, 12, 1.3F}, {0.95, 1, 12, 1.3F},  {0.93, 10, 12, 1.3F}, {0.5, 10, 8, 1.2F},
      {0.951, 5, 40, 1.6F}, {0.95, 11, 24, 1.4F}, {0.9, 100, 16, 1.3F},
  };
  for (const auto& c : cases) {
    const auto plan = choose_probes(kTable, c.recall, c.k, 500);
    EXPECT_EQ(plan.nprobe, c.nprobe) << c.recall << " " << c.k;
    EXPECT_EQ(plan.ratio, c.ratio) << c.recall << " " << c.k;
    EXPECT_GE(plan.nprobe_min, 1U);
    EXPECT_LE(plan.nprobe_min, plan.nprobe);
  }
}

TEST(ChooseProbes, VisitsAllWhenNothingIsKnown) {
  for (const auto& plan : {choose_probes({}, 0.9, 10, 50), choose_probes(kTable, 1.0, 10, 50),
                           choose_probes(kTable, 0.999, 10, 50)}) {
    EXPECT_EQ(plan.nprobe, 50U);
    EXPECT_EQ(plan.nprobe_min, 50U);
  }
}

TEST(ChooseProbes, NeverVisitsMoreClustersThanThereAre) {
  EXPECT_EQ(choose_probes(kTable, 0.99, 10, 20).nprobe, 20U);
  EXPECT_EQ(choose_probes(kTable, 0.99, 5000, 300).nprobe, 300U);
}

TEST(ChooseProbes, ScalesForMoreNeighborsThanFitted) {
  const auto plan = choose_probes(kTable, 0.95, 400, 500);
  EXPECT_EQ(plan.nprobe, 96U);
  EXPECT_EQ(plan.nprobe_min, 96U);
}

TEST(ProbesOf, StopsAtTheRatioTheCapAndNotBelowTheFloor) {
  // Plain distances 1, 1.1, 1.5, 2, 3.
  const std::vector<CentroidSet::Ranked> ranked = {{1, 0}, {1.21F, 1}, {2.25F, 2}, {4, 3}, {9, 4}};
  EXPECT_EQ(probes_of({5, 1, 1.6F}, ranked), 3U);
  EXPECT_EQ(probes_of({2, 1, 1.6F}, ranked), 2U);
  EXPECT_EQ(probes_of({5, 4, 1.6F}, ranked), 4U);
  EXPECT_EQ(probes_of({5, 1, kInfinity}, ranked), 5U);
  EXPECT_EQ(probes_of({50, 50, 1.0F}, ranked), 5U);
  EXPECT_EQ(probes_of({5, 1, 1.0F}, ranked), 1U);
  EXPECT_EQ(probes_of({5, 1, 1.0F}, {}), 0U);
}

TEST(ProbesOf, HoldsAQueryThatLiesOnACentroid) {
  const std::vector<CentroidSet::Ranked> ranked = {{0, 0}, {1, 1}, {2, 2}};
  EXPECT_EQ(probes_of({3, 2, 4.0F}, ranked), 2U);
  const std::vector<CentroidSet::Ranked> equal = {{0, 0}, {0, 1}, {2, 2}};
  EXPECT_EQ(probes_of({3, 1, 4.0F}, equal), 2U);
}

// Rows with centroids, their clusters, and queries with their true neighbours.
struct Fitted {
  Generated data;
  std::size_t rows;
  CentroidSet centroids;
  std::vector<std::uint32_t> cluster_of;
  std::vector<std::uint32_t> cluster_rows;

  std::vector<HeldOut> hold_out(std::span<const std::uint64_t> queries, bool are_rows,
                                base::Pool& pool) const {
    std::vector<float> values;
    std::vector<std::uint64_t> self;
    for (const std::uint64_t q : queries) {
      values.insert(values.end(), data.row(q), data.row(q) + data.dim);
      self.push_back(are_rows ? q : TrueNeighbors::kNoSelf);
    }
    TrueNeighbors search(std::move(values), std::move(self), data.dim, 10);
    search.scan({data.row(0), rows, data.dim}, 0, pool);
    std::vector<HeldOut> held_out;
    for (std::size_t i = 0; i < search.query_count(); ++i) {
      HeldOut one{{search.query(i).begin(), search.query(i).end()}, {}, false};
      for (const auto id : search.take(i)) one.neighbor_clusters.push_back(cluster_of[id]);
      held_out.push_back(std::move(one));
    }
    return held_out;
  }
};

Fitted make_fitted(base::Pool& pool) {
  constexpr std::size_t kRows = 8000;
  auto data = generate({.rows = kRows + 600, .dim = 32, .clumps = 60, .latent = 12}, 99);
  CentroidSet centroids(kmeans({data.row(0), kRows, 32}, 32, {.clusters = 180}, pool), 32);
  std::vector<std::uint32_t> cluster_of(kRows);
  centroids.assign({data.row(0), kRows, 32}, cluster_of, {}, pool);
  std::vector<std::uint32_t> cluster_rows(centroids.size(), 0);
  for (const auto c : cluster_of) ++cluster_rows[c];
  return {std::move(data), kRows, std::move(centroids), std::move(cluster_of),
          std::move(cluster_rows)};
}

double recall_of(const ProbePlan& plan, const CentroidSet& centroids,
                 std::span<const HeldOut> queries, double* clusters_visited) {
  double found = 0;
  double wanted = 0;
  *clusters_visited = 0;
  std::vector<CentroidSet::Ranked> ranked;
  for (const auto& query : queries) {
    centroids.rank(query.query.data(), centroids.size(), ranked);
    ranked.resize(probes_of(plan, ranked));
    *clusters_visited += static_cast<double>(ranked.size()) / static_cast<double>(queries.size());
    for (const auto cluster : query.neighbor_clusters) {
      wanted += 1;
      found += static_cast<double>(std::any_of(ranked.begin(), ranked.end(),
                                               [&](const auto& r) { return r.index == cluster; }));
    }
  }
  return found / wanted;
}

TEST(FitProbes, ReachesTheRecallOnQueriesItHasNotSeen) {
  const auto pool = base::make_thread_pool(1);
  const auto fitted = make_fitted(*pool);
  std::vector<std::uint64_t> rows;
  for (std::uint64_t i = 0; i < 300; ++i) rows.push_back(i * 26);
  std::vector<std::uint64_t> unseen;
  for (std::uint64_t i = 0; i < 600; ++i) unseen.push_back(fitted.rows + i);
  const auto table =
      fit_probes(fitted.centroids, fitted.cluster_rows, fitted.hold_out(rows, true, *pool), *pool);
  // Ten neighbours were given: nothing can be said about a hundred.
  ASSERT_EQ(table.size(), 10U);
  const auto queries = fitted.hold_out(unseen, false, *pool);
  double before = 0;
  for (const auto& point : table) {
    EXPECT_EQ(point.k, 10U);
    const auto plan = choose_probes(table, static_cast<double>(point.recall), 10, 180);
    double visited = 0;
    EXPECT_GE(recall_of(plan, fitted.centroids, queries, &visited), point.recall);
    EXPECT_GE(visited, before) << point.recall;
    before = visited;
    if (point.recall < 0.96F) {
      EXPECT_LT(visited, 40) << point.recall;
    }
  }
}

TEST(FitProbes, VisitsMoreForMixedQueriesThatNeedIt) {
  const auto pool = base::make_inline_pool();
  // Centroids 0, 1, ..., 19 on a line; the rows next to a query lie in its own cluster, those of a
  // mixed query are spread over ten.
  std::vector<float> values(20);
  for (std::size_t i = 0; i < 20; ++i) values[i] = static_cast<float>(i);
  const CentroidSet line(values, 1);
  const std::vector<std::uint32_t> cluster_rows(20, 50);
  std::vector<HeldOut> held_out(40, {{0.1F}, std::vector<std::uint32_t>(10, 0), false});
  const auto easy = fit_probes(line, cluster_rows, held_out, *pool);
  EXPECT_LT(choose_probes(easy, 0.95, 10, 20).nprobe, 5U);
  HeldOut hard{{0.1F}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, true};
  held_out.insert(held_out.end(), 10, hard);
  const auto robust = fit_probes(line, cluster_rows, held_out, *pool);
  EXPECT_GE(choose_probes(robust, 0.95, 10, 20).nprobe, 10U);
}

TEST(AddMixedQueries, AppendsTheMiddleOfEveryFourth) {
  std::vector<float> queries = {2, 0, 1, 1, 0, 4, 7, 7};
  std::vector<std::uint64_t> self = {5, 6, 7, 8};
  auto unit = queries;
  auto unit_self = self;
  add_mixed_queries(2, Metric::euclidean, queries, self);
  EXPECT_EQ(queries, (std::vector<float>{2, 0, 1, 1, 0, 4, 7, 7, 1, 2}));
  EXPECT_EQ(self, (std::vector<std::uint64_t>{5, 6, 7, 8, TrueNeighbors::kNoSelf}));
  add_mixed_queries(2, Metric::cosine, unit, unit_self);
  ASSERT_EQ(unit.size(), 10U);
  EXPECT_NEAR(unit[8] * unit[8] + unit[9] * unit[9], 1, 1e-6);
  std::vector<float> opposite = {1, 0, -1, 0};
  std::vector<std::uint64_t> two = {1, 2};
  add_mixed_queries(2, Metric::cosine, opposite, two);
  EXPECT_EQ(two.size(), 2U);
}

TEST(FitProbes, KnowsNothingWithoutQueries) {
  const auto pool = base::make_inline_pool();
  const CentroidSet one({1, 2}, 2);
  const std::vector<std::uint32_t> rows = {5};
  EXPECT_TRUE(fit_probes(one, rows, {}, *pool).empty());
  EXPECT_TRUE(fit_probes(CentroidSet({}, 2), {}, {}, *pool).empty());
}

}  // namespace
}  // namespace varve::ann
