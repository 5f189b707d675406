// `varve bench batch`: queries one at a time, by several threads, and as one batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "varve/database.h"

namespace varve::cli {

// Queries a second of the best of `rounds` passes over all `vectors`, of the dimension of the
// index one behind the other, which `threads` threads share; each asks one at a time.
Result<double> single_qps(const Snapshot& snapshot, std::span<const float> vectors,
                          std::uint32_t dim, const QueryOptions& options, unsigned threads,
                          unsigned rounds);

struct BatchRun {
  double qps = 0;
  std::uint64_t different = 0;  // answers that differ from those of single queries
};
Result<BatchRun> batch_qps(const Snapshot& snapshot, std::span<const float> vectors,
                           std::uint32_t dim, const QueryOptions& options, unsigned rounds);

}  // namespace varve::cli
