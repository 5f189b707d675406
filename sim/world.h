// One run: a store with faults, processes that use one index of it, and the judgement.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/counts.h"

namespace varve::sim {

struct RunResult {
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0;
  Counts counts;
  std::vector<std::string> violations;
};

// The same seed gives the same result, in any process with the same binary on the same kind of
// machine. `verbose`: every event goes to stderr.
RunResult run_seed(std::uint64_t seed, bool verbose);

}  // namespace varve::sim
