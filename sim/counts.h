// How often everything happened that a run is made of.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "store/fault.h"

namespace varve::sim {

// What happened in one run, or summed over many. Every count must be above zero in the end: what
// never happened was not tested.
struct Counts {
  store::FaultCounts faults;
  std::uint64_t crashes = 0, owners_given_up = 0;
  std::uint64_t acked_puts = 0, acked_deletes = 0, unknown_writes = 0;
  std::uint64_t imports = 0, folds = 0, compacts = 0;
  std::uint64_t queries = 0, gets = 0, lists = 0;
  std::uint64_t failed_reads = 0;

  void add(const Counts& other);
  // Name and value of each.
  std::vector<std::pair<std::string, std::uint64_t>> rows() const;
};

}  // namespace varve::sim
