#include "cli/ann_bench/ann_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace varve::cli::ann_bench {
namespace {

constexpr std::uint32_t kK = 5;

AnnSet random_set(Metric metric, unsigned seed, bool whole) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  AnnSet set{"random", metric, 7, std::vector<float>(400 * 7), std::vector<float>(70 * 7)};
  for (auto* const values : {&set.rows, &set.queries}) {
    for (float& value : *values) {
      value = whole ? static_cast<float>(1 + random() % 3) : normal(random);
    }
  }
  return set;
}

double naive_distance(const AnnSet& set, std::size_t query, std::size_t row) {
  double squared = 0, product = 0, query_norm = 0, row_norm = 0;
  for (std::uint32_t i = 0; i < set.dim; ++i) {
    const double a = set.query(query)[i], b = set.row(row)[i];
    squared += (a - b) * (a - b);
    product += a * b;
    query_norm += a * a;
    row_norm += b * b;
  }
  return set.metric == Metric::euclidean ? squared : 1 - product / std::sqrt(query_norm * row_norm);
}

class AnnSetTruth : public testing::TestWithParam<Metric> {};

TEST_P(AnnSetTruth, IsWhatANaiveScanFinds) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    const AnnSet set = random_set(GetParam(), seed, false);
    const auto pool = base::make_inline_pool();
    const Truth truth = exact_truth(set, kK, *pool);
    ASSERT_EQ(truth.query_count(), set.query_count());
    for (std::size_t query = 0; query < set.query_count(); ++query) {
      std::vector<std::uint32_t> order(set.row_count());
      std::iota(order.begin(), order.end(), 0U);
      std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return naive_distance(set, query, a) < naive_distance(set, query, b);
      });
      for (std::uint32_t i = 0; i < kK; ++i) EXPECT_EQ(truth.ids[query * kK + i], order[i]);
      EXPECT_NEAR(truth.distance_max[query], naive_distance(set, query, order[kK - 1]), 1e-9);
    }
  }
}

TEST_P(AnnSetTruth, RecallCountsTiesByDistanceAndNotByIds) {
  // Whole numbers: hundreds of rows are equally far.
  const AnnSet set = random_set(GetParam(), 9, true);
  const auto pool = base::make_inline_pool();
  const Truth truth = exact_truth(set, kK, *pool);
  std::vector<std::int64_t> last(truth.ids.size());
  for (std::size_t query = 0; query < set.query_count(); ++query) {
    std::vector<std::int64_t> order(set.row_count());
    std::iota(order.rbegin(), order.rend(), 0);
    // Rows near each other as numbers, larger ids first.
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return naive_distance(set, query, static_cast<std::size_t>(a)) + 1e-9 <
             naive_distance(set, query, static_cast<std::size_t>(b));
    });
    std::copy_n(order.begin(), kK, last.begin() + static_cast<std::ptrdiff_t>(query * kK));
  }
  const Recall recall = recall_of(set, truth, last);
  EXPECT_DOUBLE_EQ(recall.by_distance, 1);
  EXPECT_LT(recall.by_ids, 1);
}

INSTANTIATE_TEST_SUITE_P(Metrics, AnnSetTruth, testing::Values(Metric::euclidean, Metric::cosine));

TEST(AnnSetRecall, CountsARowOnceAndNothingThatIsNoRow) {
  const AnnSet set = random_set(Metric::euclidean, 3, false);
  const auto pool = base::make_inline_pool();
  const Truth truth = exact_truth(set, kK, *pool);
  std::vector<std::int64_t> ids(truth.ids.begin(), truth.ids.end());
  EXPECT_DOUBLE_EQ(recall_of(set, truth, ids).by_ids, 1);
  for (std::size_t query = 0; query < set.query_count(); ++query) {
    std::fill_n(ids.begin() + static_cast<std::ptrdiff_t>(query * kK), kK, ids[query * kK]);
  }
  EXPECT_DOUBLE_EQ(recall_of(set, truth, ids).by_distance, 1.0 / kK);
  std::fill(ids.begin(), ids.end(), -1);
  EXPECT_DOUBLE_EQ(recall_of(set, truth, ids).by_distance, 0);
  std::fill(ids.begin(), ids.end(), 1 << 20);
  EXPECT_DOUBLE_EQ(recall_of(set, truth, ids).by_distance, 0);
}

}  // namespace
}  // namespace varve::cli::ann_bench
