#include "engine/match_scan.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace varve::engine {
namespace {

// Rows whose bytes are on their way while others are compared.
constexpr std::size_t kRowsAhead = 6;

}  // namespace

void MatchScan::add_rows(const HeldSections& held, std::uint32_t place) {
  const std::uint32_t rows = held.part(place).slot->ref.rows;
  const std::uint64_t* const skip = held.skip(place);
  for (std::uint32_t first = 0; first < rows; first += 64) {
    std::uint64_t counting = skip == nullptr ? ~std::uint64_t{0} : ~skip[first / 64];
    if (rows - first < 64) counting &= (std::uint64_t{1} << (rows - first)) - 1;
    for (; counting != 0; counting &= counting - 1) {
      const auto row = first + static_cast<std::uint32_t>(std::countr_zero(counting));
      matches_.push_back({0, row_id(place, row)});
    }
  }
}

Status MatchScan::score(HeldSections& held, const RowScorer& scorer) {
  places_.clear();
  matches_.clear();
  for (std::uint32_t place = 0; place < held.parts().size(); ++place) {
    if (held.live_rows(place) > 0) places_.push_back(place);
  }
  for (std::span<const std::uint32_t> rest = places_; !rest.empty();) {
    const auto group = rest.first(held.count_within(rest, {format::Section::rows}));
    VARVE_CHECK(held.hold<RowsView>(group));
    const std::size_t begin = matches_.size();
    for (const std::uint32_t place : group) add_rows(held, place);
    const auto rows_of = [&](std::size_t i) -> const RowsView& {
      return held.at<RowsView>(place_of(matches_[i].id));
    };
    for (std::size_t i = begin; i < std::min(matches_.size(), begin + kRowsAhead); ++i) {
      RowScorer::fetch(rows_of(i), row_of(matches_[i].id));
    }
    for (std::size_t i = begin; i < matches_.size(); ++i) {
      const std::size_t ahead = i + kRowsAhead;
      if (ahead < matches_.size()) RowScorer::fetch(rows_of(ahead), row_of(matches_[ahead].id));
      matches_[i].distance = scorer.one(rows_of(i), row_of(matches_[i].id));
    }
    held.let_go<RowsView>(group);
    rest = rest.subspan(group.size());
  }
  // Of damaged rows only.
  std::erase_if(matches_, [](const Match& match) { return std::isnan(match.distance); });
  return {};
}

void MatchScan::nearest(const RowScorer& scorer, std::size_t capacity,
                        std::vector<std::uint64_t>& ids) {
  ids.clear();
  if (matches_.empty()) return;
  sorted_.clear();
  for (const Match& match : matches_) sorted_.push_back(match.distance);
  const auto last =
      sorted_.begin() + static_cast<std::ptrdiff_t>(std::min(capacity, sorted_.size()) - 1);
  std::nth_element(sorted_.begin(), last, sorted_.end());
  // Distances that overflow are all equal: the exact ones decide.
  const float limit = scorer.with_margin(*last);
  for (const Match& match : matches_) {
    if (match.distance <= limit) ids.push_back(match.id);
  }
}

}  // namespace varve::engine
