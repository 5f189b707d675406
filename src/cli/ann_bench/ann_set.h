// Rows and queries in memory, what is true of them, and how much of that an answer found.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/pool.h"
#include "varve/result.h"
#include "varve/types.h"

namespace varve::cli::ann_bench {

struct AnnSet {
  std::string name;  // of the file
  Metric metric = Metric::euclidean;
  std::uint32_t dim = 0;
  std::vector<float> rows, queries;  // row-major, as in the files

  std::size_t row_count() const { return rows.size() / dim; }
  std::size_t query_count() const { return queries.size() / dim; }
  std::span<const float> row(std::size_t i) const { return {rows.data() + i * dim, dim}; }
  std::span<const float> query(std::size_t i) const { return {queries.data() + i * dim, dim}; }
};

struct AnnFiles {
  std::string data, queries;
  std::string format;  // of both, as for import; empty: by the name
  std::uint64_t queries_max = 0;
  Metric metric = Metric::euclidean;
};

// `invalid`: a file is malformed, or the queries do not fit the rows.
Result<AnnSet> read_ann_set(const AnnFiles& files);

// The k nearest rows of each query by a scan of all, independent of every index: float32 first, the
// nearest and as many behind them as rounding may have moved in double.
struct Truth {
  std::uint32_t k = 0;
  std::vector<std::uint32_t> ids;    // k for each query, nearest first, ties by smaller id
  std::vector<double> distance_max;  // of each query: that of the last one
  std::size_t query_count() const { return distance_max.size(); }
};
// REQUIRES: set.row_count() >= k > 0.
Truth exact_truth(const AnnSet& set, std::uint32_t k, base::Pool& pool);

// Shares of the truth, means over the queries.
struct Recall {
  double by_distance = 0;  // rows that are as near as the last true one count, whichever they are
  double by_ids = 0;       // only the very rows of the truth
};
// `ids`: truth.k for each query, negative where there is none. What is named twice counts once.
// Distances are computed here from the rows, whatever the engine said.
Recall recall_of(const AnnSet& set, const Truth& truth, std::span<const std::int64_t> ids);

}  // namespace varve::cli::ann_bench
