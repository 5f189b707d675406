// What tests of indexes with codes share: rows in clumps, and how well their neighbours are found.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "ann/test_data.h"
#include "engine/section_cache_test.h"

namespace varve::engine {

inline const IndexName kCoded{"test", "coded"};

// Rows in clumps, and queries of the same kind.
struct Data {
  std::uint32_t dim;
  std::vector<VectorRecord> records;
  std::vector<std::vector<float>> queries;
};

inline Data clumps(std::size_t rows, std::uint32_t dim, std::uint64_t seed, bool integral) {
  constexpr std::size_t kQueries = 40;
  auto made = ann::generate({rows + kQueries, dim, 20, 12}, seed);
  if (integral) {
    for (float& value : made.values) {
      value = std::round(std::min(255.0F, std::max(0.0F, 128 + 8 * value)));
    }
  }
  Data data{dim, {}, {}};
  for (std::size_t i = 0; i < rows + kQueries; ++i) {
    std::vector<float> values(made.row(i), made.row(i) + dim);
    if (i < kQueries) {
      data.queries.push_back(std::move(values));
    } else {
      data.records.push_back({fmt::format("k{:06}", i), std::move(values),
                              i % 2 == 0 ? fmt::format(R"({{"i":{}}})", i) : ""});
    }
  }
  return data;
}

inline std::shared_ptr<Index> filled(Database& database, const Data& data, Metric metric,
                                     double code_bits = 1) {
  auto index = *database.create_index(kCoded, {data.dim, metric, code_bits}, false);
  VectorSource source(data.records);
  const auto report = index->import(source, {});
  EXPECT_TRUE(report) << (report ? "" : report.error().message);
  return index;
}

inline std::set<std::string> keys_of(const QueryResult& result) {
  std::set<std::string> keys;
  for (const Hit& hit : result.hits) keys.insert(hit.key);
  return keys;
}

// Share of the true nearest that the index finds, and what it costs on average.
struct Found {
  double recall = 0, compared = 0, scanned = 0;
};
inline Found found_by(Index& index, const Data& data, const QueryOptions& options) {
  Found found;
  double wanted = 0;
  for (const auto& query : data.queries) {
    const auto truth = keys_of(index.query(query, exact_query(options.k)).value());
    const auto result = index.query(query, options).value();
    for (const std::string& key : keys_of(result)) found.recall += truth.contains(key) ? 1 : 0;
    wanted += static_cast<double>(truth.size());
    found.compared += static_cast<double>(result.performance.rows_compared);
    found.scanned += static_cast<double>(result.performance.rows_scanned);
  }
  found.recall /= wanted;
  found.compared /= static_cast<double>(data.queries.size());
  found.scanned /= static_cast<double>(data.queries.size());
  return found;
}

// A test for each metric, of rows of bytes and of others.
class OfKinds : public testing::TestWithParam<std::tuple<Metric, bool>> {
 protected:
  Metric metric() const { return std::get<0>(GetParam()); }
  bool integral() const { return std::get<1>(GetParam()); }
};
inline auto kinds() {
  return testing::Combine(testing::Values(Metric::euclidean, Metric::cosine), testing::Bool());
}

}  // namespace varve::engine
