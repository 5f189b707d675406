// Answers that centroids and radii prove.
#include <gmock/gmock.h>

#include "engine/coded_search_test.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

QueryOptions bounded_query(std::uint32_t k = 10) {
  QueryOptions options;
  options.k = k;
  options.bounded = true;
  return options;
}

// The same hits in the same order as a scan of every row gives.
void expect_as_exact(const QueryResult& found, const QueryResult& exact) {
  ASSERT_EQ(found.hits.size(), exact.hits.size());
  for (std::size_t i = 0; i < exact.hits.size(); ++i) {
    EXPECT_EQ(found.hits[i].key, exact.hits[i].key) << i;
    EXPECT_EQ(found.hits[i].distance, exact.hits[i].distance) << i;
  }
}

class Bounded : public OfKinds {};
INSTANTIATE_TEST_SUITE_P(Kinds, Bounded, kinds());

TEST_P(Bounded, AnswersAreThoseOfAScanOfEveryRow) {
  for (const std::uint32_t dim : {2U, 40U, 128U}) {
    const Data data = clumps(5'000, dim, dim, integral());
    Process process(store::make_memory_store(test_clock()), 1);
    const auto index = filled(process.database(), data, metric());
    // Several parts a cluster, rows that were replaced, and a tail.
    ASSERT_TRUE(index->put(std::span(data.records).first(500)));
    ASSERT_TRUE(index->fold());
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < 5'000; i += 31) keys.push_back(data.records[i].key);
    ASSERT_TRUE(index->remove(keys));
    std::size_t proved = 0;
    for (const auto& query : data.queries) {
      for (const std::uint32_t k : {1U, 200U}) {
        const auto exact = index->query(query, exact_query(k)).value();
        const auto found = index->query(query, bounded_query(k)).value();
        expect_as_exact(found, exact);
        EXPECT_NE(found.performance.certainty, Certainty::approximate);
        const bool left_out = found.performance.rows_scanned < exact.performance.rows_scanned;
        EXPECT_EQ(found.performance.certainty == Certainty::bounded, left_out);
        proved += left_out ? 1 : 0;
      }
    }
    if (dim == 2) {
      EXPECT_GT(proved, data.queries.size());
    }
  }
}

TEST_P(Bounded, AnswersWithFiltersToo) {
  const Data data = clumps(9'000, 6, 3, integral());
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), data, metric());
  for (const bool is_pinned : {false, true}) {
    if (is_pinned) {
      ASSERT_TRUE(index->pin({}));
    }
    for (const char* const filter :
         {R"({"i":{"$lt":4000}})", R"({"i":{"$lt":60}})", R"({"i":7})", R"({"none":1})"}) {
      for (std::size_t q = 0; q < data.queries.size(); q += 4) {
        QueryOptions exact = exact_query();
        exact.filter = filter;
        QueryOptions bounded = bounded_query();
        bounded.filter = filter;
        expect_as_exact(index->query(data.queries[q], bounded).value(),
                        index->query(data.queries[q], exact).value());
      }
    }
  }
}

// Far from all rows every cluster is about as far: nothing is proved, and all are visited.
TEST_P(Bounded, AQueryFarAwayVisitsWhatItMust) {
  const Data data = clumps(9'000, 8, 3, integral());
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), data, metric());
  for (const float far : {1e3F, 1e10F, 1e19F, 3e38F}) {
    const std::vector<float> query(8, far);
    const auto exact = index->query(query, exact_query());
    const auto found = index->query(query, bounded_query());
    ASSERT_EQ(found.has_value(), exact.has_value());
    if (exact) expect_as_exact(*found, *exact);
  }
}

TEST(Bounded, ClumpsThatLieFarApartAreNotLookedAt) {
  base::Random random(4);
  std::vector<VectorRecord> rows;
  for (std::size_t i = 0; i < 20'000; ++i) {
    auto values = random_vector(random, 24);
    for (float& value : values) value += static_cast<float>(100 * (i % 50));
    rows.push_back({fmt::format("k{:05}", i), values, ""});
  }
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), {24, rows, {}}, Metric::euclidean);
  for (std::size_t i = 0; i < rows.size(); i += 1'000) {
    const auto found = index->query(rows[i].vector, bounded_query()).value();
    expect_as_exact(found, index->query(rows[i].vector, exact_query()).value());
    EXPECT_EQ(found.performance.certainty, Certainty::bounded);
    EXPECT_LT(found.performance.rows_scanned, 6'000);
  }
  EXPECT_THAT(index->fsck({})->findings, IsEmpty());
}

// Equal rows under many keys: the smallest keys win, wherever they lie.
TEST(Bounded, TiesAreOrderedByKey) {
  base::Random random(5);
  std::vector<VectorRecord> rows;
  for (std::size_t i = 0; i < 6'000; ++i) {
    const auto place = static_cast<float>(random.below(40));
    rows.push_back({fmt::format("k{:05}", random.below(1'000'000)), {place, 0}, ""});
  }
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), {2, rows, {}}, Metric::euclidean);
  for (float at = -1; at < 41; at += 0.5F) {
    const std::vector<float> query{at, 0};
    expect_as_exact(index->query(query, bounded_query(50)).value(),
                    index->query(query, exact_query(50)).value());
  }
}

TEST(Bounded, RowsThatOverflowProveNothing) {
  base::Random random(6);
  std::vector<VectorRecord> rows;
  for (std::size_t i = 0; i < 6'000; ++i) {
    auto values = random_vector(random, 4);
    const float scale = i % 3 == 0 ? 1e19F : 1e18F;
    for (float& value : values) value *= scale;
    rows.push_back({fmt::format("k{:05}", i), values, ""});
  }
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), {4, rows, {}}, Metric::euclidean);
  for (std::size_t i = 0; i < rows.size(); i += 300) {
    expect_as_exact(index->query(rows[i].vector, bounded_query()).value(),
                    index->query(rows[i].vector, exact_query()).value());
  }
}

TEST(Bounded, WhatCannotBeIsRefused) {
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = *process.database().create_index(kCoded, {64, Metric::euclidean, 4}, false);
  const std::vector<float> query(64, 1);
  EXPECT_THAT(index->query(query, bounded_query())->hits, IsEmpty());
  QueryOptions options = bounded_query();
  options.nprobe = 3;
  EXPECT_THAT(index->query(query, options).error().message, HasSubstr("bounded"));
  options = bounded_query();
  options.exact = true;
  EXPECT_THAT(index->query(query, options).error().message, HasSubstr("bounded"));
  options = bounded_query();
  options.codes_only = true;
  EXPECT_THAT(index->query(query, options).error().message, HasSubstr("bounded"));
}

}  // namespace
}  // namespace varve::engine
