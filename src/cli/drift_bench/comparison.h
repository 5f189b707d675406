// Two snapshots of the same rows under the same queries.
#pragma once

#include <cstdint>
#include <span>

#include "varve/database.h"

namespace varve::cli::drift_bench {

// Of one of the two.
struct Answers {
  double recall = 0;
  double qps = 0;                       // of the best pass
  double nprobe = 0, rows_scanned = 0;  // means
};

struct Comparison {
  Answers drifted, fresh;
  double ratio = 0;  // drifted / fresh in queries a second, median over the rounds
};

// Asks the queries, of `dim` values one behind the other, of each in turns, one at a time on the
// calling thread. Exact answers are those of `fresh`.
Result<Comparison> compare(const Snapshot& drifted, const Snapshot& fresh,
                           std::span<const float> queries, std::uint32_t dim,
                           const QueryOptions& options, const ProgressSink& progress);

}  // namespace varve::cli::drift_bench
