// How good and how fast answers are, against exact search of the same snapshot.
#pragma once

#include <span>
#include <vector>

#include "varve/database.h"

namespace varve::cli {

// Share of the exact hits that were found. A hit that is no nearer than the last exact one but as
// near counts too, unless distances are `estimated`: which of equally distant rows is returned is
// no error.
double recall_of(std::span<const Hit> found, std::span<const Hit> exact, bool estimated = false);

// By nearest rank: the smallest value that at least `share` of all do not exceed. 0 for none.
double percentile(std::span<const double> sorted, double share);

struct RecallReport {
  std::uint64_t queries = 0;
  std::uint64_t vectors = 0;
  double recall = 0;  // mean over the queries
  double qps = 0, p50_us = 0, p99_us = 0;
  double nprobe = 0, rows_scanned = 0, rows_compared = 0;  // means
  double exact_qps = 0, exact_p50_us = 0;
  std::uint64_t resident_bytes = 0;  // of the index after the queries, before the exact ones
};

// Asks each query once to warm up, once against the clock and once exactly, one at a time on the
// calling thread.
Result<RecallReport> measure_recall(const Snapshot& snapshot,
                                    const std::vector<std::vector<float>>& queries,
                                    const QueryOptions& options, const ProgressSink& progress);

}  // namespace varve::cli
