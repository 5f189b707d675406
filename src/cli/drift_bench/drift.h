// `varve bench drift`: an index whose rows are turned over beside a fresh one of the same rows.
#pragma once

#include <string>
#include <vector>

#include "cli/drift_bench/comparison.h"
#include "cli/drift_bench/turning_rows.h"

namespace varve::cli::drift_bench {

struct DriftOptions {
  std::string folder;  // for the stores
  Metric metric = Metric::euclidean;
  std::uint32_t turnovers = 5;
  std::uint64_t batch_rows = 1000;
  std::uint64_t seed = 1;  // of which rows are looked at themselves
  std::uint64_t fold_ops_min = 0;
  std::chrono::milliseconds timeout{0};
  QueryOptions query;
};

// After one turnover. Rates are those of this turnover alone.
struct Checkpoint {
  std::uint32_t turnover = 0;
  Comparison comparison;
  IndexInfo drifted, fresh;
  double rows_rewritten_per_insert = 0, rows_rebuilt_per_insert = 0;
  // Each with a delete, until nothing is left to do in the background; without the time that it
  // takes to make the rows.
  double inserts_per_second = 0;
};

// `internal`: the index has not the rows that it must have, or something failed in the background.
Result<std::vector<Checkpoint>> run_drift(const TurningRows& rows, const DriftOptions& options,
                                          const ProgressSink& progress);

}  // namespace varve::cli::drift_bench
