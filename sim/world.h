// One run: a store with faults, processes that use one index of it, and the judgement.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/fault.h"

namespace varve::sim {

// What happened in one run, or summed over many. Every count must be above zero in the end: what
// never happened was not tested.
struct Counts {
  store::FaultCounts faults;
  std::uint64_t crashes = 0;
  std::uint64_t acked_puts = 0, acked_deletes = 0, unknown_writes = 0;
  std::uint64_t imports = 0, folds = 0, compacts = 0;
  std::uint64_t queries = 0, gets = 0, lists = 0;
  std::uint64_t failed_reads = 0;

  void add(const Counts& other);
  // Name and value of each.
  std::vector<std::pair<std::string, std::uint64_t>> rows() const;
};

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
