// Candidates by the distances of the rows that match a filter, one by one: where they are few, that
// reads less than their codes do, which stand in blocks of 32 rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/held_sections.h"
#include "engine/row_scorer.h"

namespace varve::engine {

// One thread. Kept from query to query for its memory.
class MatchScan {
 public:
  // Distances of the rows that count of the parts that `held` was started with.
  Status score(HeldSections& held, const RowScorer& scorer);
  // Rows (row_id) that may be among the `capacity` nearest, every one that can be in exact
  // arithmetic. REQUIRES: scored; `capacity` is at least 1.
  void nearest(const RowScorer& scorer, std::size_t capacity, std::vector<std::uint64_t>& ids);

 private:
  struct Match {
    float distance;
    std::uint64_t id;
  };
  void add_rows(const HeldSections& held, std::uint32_t place);

  std::vector<std::uint32_t> places_;  // with rows that count
  std::vector<Match> matches_;
  std::vector<float> sorted_;
};

}  // namespace varve::engine
