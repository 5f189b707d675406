// Candidates by the distances of every row of the parts visited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/held_sections.h"
#include "engine/row_scorer.h"
#include "kernels/top_k.h"

namespace varve::engine {

// One thread. Kept from query to query for its memory.
class FullScan {
 public:
  // Distances of all rows of the parts that `held` was started with. Keeps the rows if all that the
  // query may need fits; a query that visits more reads those of its candidates a second time.
  Status score(HeldSections& held, const RowScorer& scorer);
  // Rows (row_id) that may be among the `capacity` nearest: every one that can be in exact
  // arithmetic if `exactly`, else the nearest by float32. REQUIRES: scored.
  void nearest(const HeldSections& held, const RowScorer& scorer, std::size_t capacity,
               bool exactly, std::vector<std::uint64_t>& ids);

 private:
  std::vector<float> distances_;       // part by part
  std::vector<std::size_t> begins_;    // of each place in distances_
  std::vector<std::uint32_t> places_;  // with rows that count
  kernels::TopK top_{0};
};

}  // namespace varve::engine
