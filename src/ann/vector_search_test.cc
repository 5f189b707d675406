// The contract of VectorSearch, on every implementation.
#include "ann/vector_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <thread>

#include "ann/exact.h"
#include "ann/test_data.h"
#include "kernels/rotation.h"

namespace varve::ann {
namespace {

constexpr Effort kExact{.exact = true};

struct Maker {
  const char* name;
  std::function<std::unique_ptr<VectorSearch>(const kernels::Rows&, Metric)> make;
};

const std::vector<Maker>& makers() {
  static const std::vector<Maker> all = {
      {"flat", [](const kernels::Rows& rows, Metric metric) { return make_flat(rows, metric); }},
      {"hnsw",
       [](const kernels::Rows& rows, Metric metric) {
         return make_hnsw(rows, metric, {.m = 12, .ef_construction = 100});
       }},
      {"clustered",
       [](const kernels::Rows& rows, Metric metric) {
         const auto pool = base::make_thread_pool(1);
         return make_clustered(rows, metric, {.clusters = 50}, *pool);
       }},
      {"coded_extra",
       [](const kernels::Rows& rows, Metric metric) -> std::unique_ptr<VectorSearch> {
         const auto pool = base::make_thread_pool(1);
         return make_coded(
             rows, metric,
             {.clusters = {.clusters = 50}, .extra_words = 3 * kernels::rotated_dim(rows.dim) / 64},
             *pool);
       }},
      {"coded",
       [](const kernels::Rows& rows, Metric metric) {
         const auto pool = base::make_thread_pool(1);
         return make_coded(rows, metric, {.clusters = {.clusters = 50}}, *pool);
       }},
      {"clustered_graphs",
       [](const kernels::Rows& rows, Metric metric) {
         const auto pool = base::make_thread_pool(1);
         return make_clustered(
             rows, metric,
             {.clusters = 20, .inside = Inside::graph, .graph = {.m = 12, .ef_construction = 100}},
             *pool);
       }},
  };
  return all;
}

struct Case {
  std::size_t maker;
  Metric metric;
};

class Contract : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<VectorSearch> make(const kernels::Rows& rows) const {
    return makers()[GetParam().maker].make(rows, GetParam().metric);
  }
  std::unique_ptr<VectorSearch> make(const Generated& data) const {
    return make(kernels::rows_of(data.values.data(), data.count(), data.dim));
  }
  Metric metric() const { return GetParam().metric; }
};

INSTANTIATE_TEST_SUITE_P(
    All, Contract,
    testing::Values(Case{0, Metric::euclidean}, Case{0, Metric::cosine}, Case{1, Metric::euclidean},
                    Case{1, Metric::cosine}, Case{2, Metric::euclidean}, Case{2, Metric::cosine},
                    Case{3, Metric::euclidean}, Case{3, Metric::cosine}, Case{4, Metric::euclidean},
                    Case{4, Metric::cosine}, Case{5, Metric::euclidean}, Case{5, Metric::cosine}),
    [](const auto& tested) {
      return std::string(makers()[tested.param.maker].name) +
             (tested.param.metric == Metric::cosine ? "_cosine" : "_euclidean");
    });

// In double, every row, in the order of the definition. Whole numbers make each sum exact, so
// that here the order of the terms does not matter.
std::vector<Neighbor> naive(const kernels::Rows& rows, Metric metric, const float* query,
                            std::size_t k) {
  std::vector<Neighbor> all;
  std::vector<float> row(rows.dim);
  for (std::size_t i = 0; i < rows.count; ++i) {
    kernels::widen(rows, i, row.data());
    double l2 = 0, product = 0, query_norm = 0, row_norm = 0;
    for (std::uint32_t j = 0; j < rows.dim; ++j) {
      const auto a = static_cast<double>(query[j]);
      const auto b = static_cast<double>(row[j]);
      l2 += (a - b) * (a - b);
      product += a * b;
      query_norm += a * a;
      row_norm += b * b;
    }
    const double cosine =
        row_norm == 0 ? 0 : product / (std::sqrt(query_norm) * std::sqrt(row_norm));
    all.push_back({metric == Metric::cosine ? std::max(0.0, 1 - cosine) : l2, i});
  }
  std::sort(all.begin(), all.end(), [](const Neighbor& a, const Neighbor& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
  });
  all.resize(std::min(k, all.size()));
  return all;
}

void expect_equal(const std::vector<Neighbor>& found, const std::vector<Neighbor>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].id, expected[i].id) << "rank " << i;
    ASSERT_EQ(found[i].distance, expected[i].distance) << "rank " << i;
  }
}

// Few different whole numbers: very many ties, equal rows and zero rows among them.
Generated whole_numbers(std::size_t rows, std::uint32_t dim, int range, std::uint64_t seed) {
  base::Random random(seed);
  Generated data{dim, std::vector<float>(rows * dim)};
  for (float& x : data.values) {
    x = static_cast<float>(static_cast<int>(random.below(2 * range + 1)) - range);
  }
  return data;
}

TEST_P(Contract, ExactEqualsBruteForceInDoubleWithManyTies) {
  for (const auto& [rows, dim, range] :
       {std::tuple{400U, 3U, 2}, {300U, 19U, 1}, {2000U, 8U, 90}, {700U, 70U, 127}}) {
    auto data = whole_numbers(rows, dim, range, rows);
    std::fill_n(data.values.begin() + 5 * dim, dim, 0.0F);
    const auto search = make(data);
    const auto all = kernels::rows_of(data.values.data(), rows, dim);
    const auto queries = whole_numbers(20, dim, range + 1, 7);
    for (std::size_t q = 0; q < queries.count(); ++q) {
      for (const std::uint32_t k : {1U, 10U, 123U}) {
        const std::span<const float> query(queries.row(q), dim);
        if (std::all_of(query.begin(), query.end(), [](float x) { return x == 0; })) continue;
        const auto found = search->search(query, k, kExact);
        ASSERT_TRUE(found) << found.error().message;
        expect_equal(*found, naive(all, metric(), queries.row(q), k));
      }
    }
  }
}

// Rows that float32 cannot tell apart: only double has their order.
TEST_P(Contract, ExactOrdersRowsThatFloatCannotTellApart) {
  base::Random random(5);
  constexpr std::uint32_t kDim = 48;
  Generated data{kDim, std::vector<float>(600 * kDim)};
  for (float& x : data.values) x = 1000 + 1e-3F * normal(random);
  const std::vector<float> query(kDim, 3.0F);
  const auto all = kernels::rows_of(data.values.data(), data.count(), kDim);
  const auto checked = make_query(query, kDim, metric());
  ASSERT_TRUE(checked);
  std::vector<Neighbor> expected;
  for (std::size_t i = 0; i < all.count; ++i) {
    expected.push_back({exact_distance(*checked, all, i), i});
  }
  std::sort(expected.begin(), expected.end(), [](const Neighbor& a, const Neighbor& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
  });
  expected.resize(10);
  const auto found = make(data)->search(query, 10, kExact);
  ASSERT_TRUE(found);
  expect_equal(*found, expected);
}

TEST_P(Contract, ExactHoldsForTheLargestAndSmallestFloats) {
  for (const float scale : {3e38F, 1e25F, 1e-22F, 1e-40F}) {
    auto data = generate({.rows = 300, .dim = 6, .clumps = 3}, 5);
    for (float& x : data.values) x = std::clamp(x / 40, -1.0F, 1.0F) * scale;
    const auto all = kernels::rows_of(data.values.data(), 299, 6);
    const std::span<const float> query(data.row(299), 6);
    const auto checked = make_query(query, 6, metric());
    ASSERT_TRUE(checked);
    std::vector<Neighbor> expected;
    for (std::size_t i = 0; i < 299; ++i) {
      expected.push_back({exact_distance(*checked, all, i), i});
    }
    std::sort(expected.begin(), expected.end(), [](const Neighbor& a, const Neighbor& b) {
      return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
    });
    expected.resize(20);
    const auto found = make(all)->search(query, 20, kExact);
    ASSERT_TRUE(found);
    expect_equal(*found, expected);
  }
}

TEST_P(Contract, ReadsRowsOfEveryType) {
  const auto data = whole_numbers(200, 11, 60, 3);
  for (const auto type : {kernels::RowType::f32, kernels::RowType::f16, kernels::RowType::bf16,
                          kernels::RowType::i8}) {
    // One element of padding after each row.
    const std::size_t stride = 12 * kernels::element_bytes(type);
    std::vector<std::byte> bytes(200 * stride);
    for (std::size_t i = 0; i < 200; ++i) {
      kernels::narrow({data.row(i), 11}, type, bytes.data() + i * stride);
    }
    const kernels::Rows rows{bytes.data(), 200, stride, 11, type};
    const auto found = make(rows)->search({data.row(17), 11}, 9, kExact);
    ASSERT_TRUE(found);
    expect_equal(*found, naive(rows, metric(), data.row(17), 9));
  }
}

TEST_P(Contract, ReachesTheRecallByDefault) {
  const auto data = generate({.rows = 5300, .dim = 24, .clumps = 40, .latent = 8}, 17);
  const auto rows = kernels::rows_of(data.values.data(), 5000, 24);
  const auto search = make(rows);
  const auto flat = make_flat(rows, metric());
  double found = 0;
  for (std::size_t q = 5000; q < 5300; ++q) {
    const std::span<const float> query(data.row(q), 24);
    const auto truth = flat->search(query, 10, kExact);
    const auto answer = search->search(query, 10, {});
    ASSERT_TRUE(truth && answer);
    ASSERT_EQ(answer->size(), 10U);
    std::set<std::uint64_t> ids;
    for (const auto& neighbor : *truth) ids.insert(neighbor.id);
    for (const auto& neighbor : *answer) found += static_cast<double>(ids.count(neighbor.id));
  }
  EXPECT_GE(found / 3000, 0.95);
}

TEST_P(Contract, OrdersTiesById) {
  Generated data{2, {}};
  for (int i = 0; i < 90; ++i) data.values.insert(data.values.end(), {1, 2});
  for (const Effort& effort : {kExact, Effort{}}) {
    const auto found = make(data)->search(std::vector<float>{1, 1}, 30, effort);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 30U);
    for (std::size_t i = 0; i < 30; ++i) {
      // A graph may miss some of the equal rows, but never orders them otherwise.
      if (i > 0) {
        EXPECT_LT((*found)[i - 1].id, (*found)[i].id);
      }
      if (effort.exact) {
        EXPECT_EQ((*found)[i].id, i);
      }
    }
  }
}

TEST_P(Contract, ReturnsAllRowsWhenKIsLarger) {
  const auto data = generate({.rows = 30, .dim = 4}, 2);
  const auto search = make(data);
  for (const Effort& effort : {kExact, Effort{}, Effort{.nprobe = 1000, .ef = 1000}}) {
    const auto found = search->search({data.row(3), 4}, 10'000, effort);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->size(), 30U);
    EXPECT_EQ((*found)[0].id, 3U);
  }
}

TEST_P(Contract, AnswersNothingFromNothing) {
  const auto search = make(kernels::rows_of(nullptr, 0, 3));
  EXPECT_EQ(search->size(), 0U);
  for (const Effort& effort : {kExact, Effort{}}) {
    const auto found = search->search(std::vector<float>{1, 2, 3}, 5, effort);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->empty());
  }
}

TEST_P(Contract, RefusesQueriesThatAreNot) {
  const auto data = generate({.rows = 60, .dim = 3}, 2);
  const auto search = make(data);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> bad = {
      {}, {1, 2}, {1, 2, 3, 4}, {1, nan, 3}, {1, 2, -infinity}};
  for (const Effort& effort : {kExact, Effort{}}) {
    for (const auto& query : bad) {
      const auto found = search->search(query, 5, effort);
      ASSERT_FALSE(found);
      EXPECT_EQ(found.error().kind, ErrorKind::invalid);
    }
    ASSERT_FALSE(search->search(std::vector<float>{1, 2, 3}, 0, effort));
    const auto zero = search->search(std::vector<float>{0, 0, 0}, 5, effort);
    EXPECT_EQ(zero.has_value(), metric() == Metric::euclidean);
  }
}

TEST_P(Contract, TellsWhatItHolds) {
  const auto data = generate({.rows = 300, .dim = 10}, 2);
  const auto search = make(data);
  EXPECT_EQ(search->size(), 300U);
  EXPECT_EQ(search->dim(), 10U);
  EXPECT_EQ(search->metric(), metric());
  EXPECT_GE(search->resident_bytes(), 300 * 10 * sizeof(float));
  EXPECT_LT(search->resident_bytes(), 300 * (10 * sizeof(float) + 400));
}

TEST_P(Contract, AnswersManyThreadsAsOne) {
  const auto data = generate({.rows = 1200, .dim = 16}, 8);
  const auto search = make(data);
  const auto answers = [&] {
    std::vector<std::uint64_t> ids;
    for (std::size_t q = 0; q < 60; ++q) {
      for (const Effort& effort : {kExact, Effort{}}) {
        const auto found = search->search({data.row(q * 20), 16}, 7, effort);
        for (const auto& neighbor : *found) ids.push_back(neighbor.id);
      }
    }
    return ids;
  };
  const auto expected = answers();
  std::vector<std::vector<std::uint64_t>> got(4);
  std::vector<std::thread> threads;
  for (auto& slot : got) threads.emplace_back([&] { slot = answers(); });
  for (auto& thread : threads) thread.join();
  for (const auto& slot : got) EXPECT_EQ(slot, expected);
}

TEST(Clustered, MoreProbesNeverFindLess) {
  const auto data = generate({.rows = 3000, .dim = 16, .clumps = 30}, 8);
  const auto rows = kernels::rows_of(data.values.data(), data.count(), data.dim);
  const auto pool = base::make_inline_pool();
  const auto search = make_clustered(rows, Metric::euclidean, {.clusters = 60}, *pool);
  for (std::size_t q = 0; q < 50; ++q) {
    double before = std::numeric_limits<double>::infinity();
    for (const std::uint32_t nprobe : {1U, 4U, 16U, 60U}) {
      const auto found = search->search({data.row(q * 50), 16}, 20, {.nprobe = nprobe});
      ASSERT_TRUE(found);
      if (found->size() < 20) continue;
      EXPECT_LE(found->back().distance, before);
      before = found->back().distance;
    }
    const auto all = search->search({data.row(q * 50), 16}, 20, {.nprobe = 60});
    expect_equal(*all, *search->search({data.row(q * 50), 16}, 20, kExact));
  }
}

// All clusters visited: only the codes decide. The same data each time, so that more bits are
// seen to find more.
TEST(CodesOnly, FindMoreWithEachBitAndTellTheDistance) {
  const auto data = generate({.rows = 6000, .dim = 192, .clumps = 40, .latent = 24}, 77);
  const auto rows = kernels::rows_of(data.values.data(), 5900, data.dim);
  const auto pool = base::make_thread_pool(1);
  for (const Metric metric : {Metric::euclidean, Metric::cosine}) {
    double before = 0;
    const auto flat = make_flat(rows, metric);
    // Three words are a bit.
    for (const std::uint32_t words : {3U, 7U, 9U, 21U}) {
      const auto coded =
          make_coded(rows, metric, {.clusters = {.clusters = 50}, .extra_words = words}, *pool);
      std::size_t right = 0;
      double apart = 0, sum = 0;
      for (std::size_t q = 5900; q < 6000; ++q) {
        const std::span<const float> query(data.row(q), data.dim);
        const auto wanted = flat->search(query, 10, kExact);
        const auto found = coded->search(query, 10, {.nprobe = 50, .codes_only = true});
        ASSERT_TRUE(wanted && found);
        ASSERT_EQ(found->size(), 10U);
        for (const Neighbor& near : *found) {
          for (const Neighbor& true_near : *wanted) right += near.id == true_near.id;
        }
        apart += std::abs(found->front().distance - wanted->front().distance);
        sum += wanted->front().distance;
      }
      const double recall = static_cast<double>(right) / 1000;
      EXPECT_GT(recall, before) << words;
      EXPECT_LT(apart, sum * (words == 21 ? 0.01 : 0.2)) << words;
      before = recall;
    }
    EXPECT_GT(before, 0.97);
  }
}

TEST(Contenders, KeepsAllThatTheErrorCouldBringAmongTheK) {
  Contenders found(2, {0.1F, 0});
  const std::vector<float> distances = {5, 1, 1.05F, 1.2F, 1.9F, 1.24F};
  found.add_block(distances, 100, nullptr);
  auto ids = found.take();
  std::sort(ids.begin(), ids.end());
  // The second is at 1.05, at most 1.167 in truth, which scores up to 1.284.
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{101, 102, 103, 105}));
}

TEST(Contenders, SkipsMarkedRowsAndKeepsWhatIsNotANumber) {
  Contenders found(1, {0, 0});
  std::vector<float> distances(70, 9.0F);
  distances[3] = 1;
  distances[66] = 2;
  distances[68] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::uint64_t> skip = {std::uint64_t{1} << 3, 0};
  found.add_block(distances, 0, skip.data());
  auto ids = found.take();
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{66, 68}));
}

TEST(Contenders, HoldsFewOfManyRows) {
  base::Random random(4);
  Contenders found(10, {1e-5F, 0});
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    found.add(static_cast<float>(random.unit()) + 1, i);
  }
  EXPECT_LT(found.take().size(), 40U);
}

}  // namespace
}  // namespace varve::ann
