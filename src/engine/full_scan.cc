#include "engine/full_scan.h"

#include <cmath>

namespace varve::engine {
namespace {

// Calls use(place, part, distances of its rows).
template <typename Use>
void for_parts(const HeldSections& held, const float* distances, Use use) {
  for (std::size_t place = 0; place < held.parts().size(); ++place) {
    const PartView& part = held.part(place);
    use(place, part, distances);
    distances += part.slot->ref.rows;
  }
}

// Few rows that count are scored by themselves: what is written for the others is never read.
constexpr std::uint32_t kScoredAloneMax = 8;  // at most one in so many

void score_part(const HeldSections& held, const RowScorer& scorer, std::uint32_t place,
                float* out) {
  const RowsView& part = held.at<RowsView>(place);
  const auto rows = static_cast<std::uint32_t>(part.rows.count);
  if (held.live_rows(place) * kScoredAloneMax > rows) return scorer.all(part, out);
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (!held.is_skipped(place, row)) out[row] = scorer.one(part, row);
  }
}

}  // namespace

Status FullScan::score(HeldSections& held, const RowScorer& scorer) {
  std::size_t rows = 0;
  places_.clear();
  begins_.clear();
  for (std::uint32_t place = 0; place < held.parts().size(); ++place) {
    if (held.live_rows(place) > 0) places_.push_back(place);
    begins_.push_back(rows);
    rows += held.part(place).slot->ref.rows;
  }
  distances_.resize(rows);
  for (std::span<const std::uint32_t> rest = places_; !rest.empty();) {
    const auto group = rest.first(held.count_within(rest, {format::Section::rows}));
    VARVE_CHECK(held.hold<RowsView>(group));
    for (const std::uint32_t place : group) {
      score_part(held, scorer, place, distances_.data() + begins_[place]);
    }
    held.let_go<RowsView>(group);
    rest = rest.subspan(group.size());
  }
  return {};
}

void FullScan::nearest(const HeldSections& held, const RowScorer& scorer, std::size_t capacity,
                       bool exactly, std::vector<std::uint64_t>& ids) {
  ids.clear();
  top_.reset(capacity);
  for_parts(held, distances_.data(), [&](std::size_t place, const PartView& part, const float* at) {
    top_.add_block(at, part.slot->ref.rows, row_id(place, 0), held.skip(place));
  });
  const auto found = top_.sorted();
  if (found.empty()) return;
  // Distances that overflow are all equal: the exact ones decide. NaN, which only damaged rows
  // give, is no candidate.
  if (!exactly && std::isfinite(found.back().distance)) {
    for (const auto& scored : found) ids.push_back(scored.id);
    return;
  }
  const float limit = scorer.with_margin(found.back().distance);
  for_parts(held, distances_.data(), [&](std::size_t place, const PartView& part, const float* at) {
    for (std::uint32_t row = 0; row < part.slot->ref.rows; ++row) {
      if (at[row] <= limit && !held.is_skipped(place, row)) ids.push_back(row_id(place, row));
    }
  });
}

}  // namespace varve::engine
