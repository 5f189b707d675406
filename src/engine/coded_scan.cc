#include "engine/coded_scan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "format/part.h"

namespace varve::engine {
namespace {

constexpr float kNoBound = -std::numeric_limits<float>::infinity();

// Candidates whose values or extra bits are asked for while earlier ones are looked at.
constexpr std::size_t kFetchedAhead = 8;

// Of the error of a code, in bounds of it, when rows are compared: costs a few more rows and finds
// half of what single bounds miss.
constexpr float kSlack = 1.5F;

}  // namespace

void CodedScan::start(const kernels::Rotation& rotation, const float* query) {
  rotated_.resize(rotation.padded_dim());
  rotation.apply(query, rotated_.data());
  table_.set(rotated_.data(), rotation.padded_dim());
}

Status CodedScan::nearest(HeldSections& held, const RowScorer& scorer,
                          std::span<const float> to_centroids, std::size_t capacity,
                          std::vector<std::uint64_t>& ids) {
  capacity_ = capacity;
  VARVE_CHECK(filter(held, to_centroids, capacity));
  VARVE_CHECK(held.keeps_all() ? compare_at_once(held, scorer) : compare_in_groups(held, scorer));
  // Distances that overflow are all equal: the exact ones decide.
  const float limit = scorer.with_margin(nearest_.limit());
  ids.clear();
  for (const Scored& one : compared_) {
    if (one.distance <= limit) ids.push_back(one.id);
  }
  rows_compared_ = compared_.size();
  return {};
}

Status CodedScan::nearest_by_codes(HeldSections& held, const RowScorer& scorer,
                                   std::span<const float> to_centroids, std::size_t capacity,
                                   const kernels::ExtraShape& shape,
                                   const kernels::Directions& directions,
                                   std::vector<Scored>& found) {
  extra_.set(rotated_.data(), shape, directions);
  VARVE_CHECK(filter(held, to_centroids, capacity));
  compared_.clear();
  unestimated_.clear();
  nearest_.reset(capacity);
  VARVE_CHECK(estimate(held, scorer, to_centroids));
  VARVE_CHECK(compare_unestimated(held, scorer));
  rows_compared_ = unestimated_.size();
  keep_nearest(capacity);
  found.assign(compared_.begin(), compared_.end());
  return {};
}

Status CodedScan::filter(HeldSections& held, std::span<const float> to_centroids,
                         std::size_t capacity) {
  filter_.start(capacity);
  coded_places_.clear();
  for (std::uint32_t place = 0; place < held.parts().size(); ++place) {
    if (held.live_rows(place) == 0) continue;
    if (format::has_codes(held.part(place).slot->ref)) coded_places_.push_back(place);
  }
  for (std::span<const std::uint32_t> rest = coded_places_; !rest.empty();) {
    const auto group = rest.first(held.count_within(rest, {format::Section::codes}));
    VARVE_CHECK(held.hold<CodesView>(group));
    for (std::size_t i = 0; i < group.size(); ++i) {
      const std::uint32_t place = group[i];
      const bool is_last = i + 1 == group.size();
      filter_.add(table_,
                  {.blocks = held.at<CodesView>(place).blocks(),
                   .rows = held.part(place).slot->ref.rows,
                   .to_centroid = to_centroids[place],
                   .first_row = 0,
                   .skip = held.skip(place),
                   .next = is_last ? nullptr : held.at<CodesView>(group[i + 1]).blocks(),
                   .steps = format::sign_steps(held.part(place).slot->ref.code_kind)},
                  row_id(place, 0));
    }
    held.let_go<CodesView>(group);
    rest = rest.subspan(group.size());
  }
  survivors_.clear();
  add_uncoded(held);
  filter_.finish(survivors_);
  return {};
}

void CodedScan::add_uncoded(const HeldSections& held) {
  for (std::uint32_t place = 0; place < held.parts().size(); ++place) {
    const PartView& part = held.part(place);
    if (format::has_codes(part.slot->ref)) continue;
    for (std::uint32_t row = 0; row < part.slot->ref.rows; ++row) {
      if (!held.is_skipped(place, row))
        survivors_.push_back({kNoBound, kNoBound, row_id(place, row)});
    }
  }
}

void CodedScan::list_places() {
  places_.clear();
  for (const Survivor& one : survivors_) places_.push_back(place_of(one.id));
  std::sort(places_.begin(), places_.end());
  places_.erase(std::unique(places_.begin(), places_.end()), places_.end());
}

Status CodedScan::compare_at_once(HeldSections& held, const RowScorer& scorer) {
  if (!held.is_resident()) {
    list_places();
    VARVE_CHECK(held.hold<RowsView>(places_));
  }
  const auto rows_of = [&](std::size_t i) -> const RowsView& {
    return held.at<RowsView>(place_of(survivors_[i].id));
  };
  compare(
      scorer, [&](std::size_t i) { RowScorer::fetch(rows_of(i), row_of(survivors_[i].id)); },
      [&](std::size_t i) { return scorer.one(rows_of(i), row_of(survivors_[i].id)); });
  return {};
}

Status CodedScan::compare_in_groups(HeldSections& held, const RowScorer& scorer) {
  distances_.resize(survivors_.size());
  list_places();
  for (std::span<const std::uint32_t> rest = places_; !rest.empty();) {
    const auto group = rest.first(held.count_within(rest, {format::Section::rows}));
    VARVE_CHECK(held.hold<RowsView>(group));
    for (std::size_t i = 0; i < survivors_.size(); ++i) {
      const std::uint64_t id = survivors_[i].id;
      if (place_of(id) < group.front() || place_of(id) > group.back()) continue;
      distances_[i] = scorer.one(held.at<RowsView>(place_of(id)), row_of(id));
    }
    held.let_go<RowsView>(group);
    rest = rest.subspan(group.size());
  }
  compare(
      scorer, [](std::size_t) {}, [&](std::size_t i) { return distances_[i]; });
  return {};
}

// First those that seem nearest, then of the others only those whose bound is within the k-th
// distance. Which ones does not depend on how rows are read.
template <typename Fetch, typename DistanceOf>
void CodedScan::compare(const RowScorer& scorer, Fetch fetch, DistanceOf distance_of) {
  compared_.clear();
  nearest_.reset(capacity_);
  float limit = std::numeric_limits<float>::infinity();
  const auto may_be_near = [&](const Survivor& one) {
    const float lower = one.estimate - kSlack * (one.estimate - one.lower);
    // Not a number where nothing is known.
    return !(scorer.of_codes(lower) > limit);
  };
  std::array<std::uint32_t, kFetchedAhead> fetched;  // of survivors, to be compared next
  std::size_t at = 0;                                // the first survivor not looked at yet
  const auto fetch_next = [&](std::size_t slot) {
    for (; at < survivors_.size(); ++at) {
      if (!may_be_near(survivors_[at])) continue;
      fetch(at);
      fetched[slot] = static_cast<std::uint32_t>(at++);
      return true;
    }
    return false;
  };
  std::size_t first = 0, end = 0;
  while (end < kFetchedAhead && fetch_next(end)) ++end;
  for (; first < end; ++first) {
    const std::uint32_t i = fetched[first % kFetchedAhead];
    // The limit may have come nearer since it was fetched.
    if (may_be_near(survivors_[i])) {
      const float distance = distance_of(i);
      // Of damaged rows only.
      if (!std::isnan(distance)) {
        compared_.push_back({distance, survivors_[i].id});
        nearest_.add(distance);
        limit = scorer.with_margin(nearest_.limit());
      }
    }
    if (fetch_next(end % kFetchedAhead)) ++end;
  }
}

Status CodedScan::estimate(HeldSections& held, const RowScorer& scorer,
                           std::span<const float> to_centroids) {
  list_places();
  for (std::span<const std::uint32_t> rest = places_; !rest.empty();) {
    const auto group =
        rest.first(held.count_within(rest, {format::Section::codes, format::Section::extra}));
    VARVE_CHECK(held.hold<CodesView>(group));
    VARVE_CHECK(held.hold<ExtraView>(group));
    estimate_group(held, scorer, to_centroids, group);
    held.let_go<CodesView>(group);
    held.let_go<ExtraView>(group);
    rest = rest.subspan(group.size());
  }
  return {};
}

void CodedScan::estimate_group(const HeldSections& held, const RowScorer& scorer,
                               std::span<const float> to_centroids,
                               std::span<const std::uint32_t> group) {
  const auto is_of_group = [&](std::uint64_t id) {
    return place_of(id) >= group.front() && place_of(id) <= group.back();
  };
  for (std::size_t i = 0; i < survivors_.size(); ++i) {
    if (i + kFetchedAhead < survivors_.size() && is_of_group(survivors_[i + kFetchedAhead].id)) {
      const std::uint64_t next = survivors_[i + kFetchedAhead].id;
      held.at<ExtraView>(place_of(next)).fetch(row_of(next));
    }
    const auto [lower, estimated, id] = survivors_[i];
    if (!is_of_group(id) || scorer.of_codes(lower) > nearest_.limit()) continue;
    const std::uint32_t place = place_of(id), row = row_of(id);
    const ExtraView& extra = held.at<ExtraView>(place);
    kernels::ExtraEstimate near{kNoBound, kNoBound};
    if (extra.bytes) {
      const std::size_t block_bytes = kernels::sign_block_bytes(
          table_.padded_dim(), format::sign_steps(held.part(place).slot->ref.code_kind));
      const std::byte* const block =
          held.at<CodesView>(place).blocks() + row / kernels::kSignBlockRows * block_bytes;
      near = extra_.estimate(block, row % kernels::kSignBlockRows, extra.row(row),
                             to_centroids[place]);
    }
    if (near.estimate == kNoBound) {
      unestimated_.push_back(id);
      continue;
    }
    const float distance = scorer.of_codes(std::max(near.estimate, 0.0F));
    if (distance > nearest_.limit()) continue;
    nearest_.add(distance);
    compared_.push_back({distance, id});
  }
}

Status CodedScan::compare_unestimated(HeldSections& held, const RowScorer& scorer) {
  if (unestimated_.empty()) return {};
  std::sort(unestimated_.begin(), unestimated_.end());
  for (auto id = unestimated_.begin(); id != unestimated_.end();) {
    const std::uint32_t place = place_of(*id);
    VARVE_CHECK(held.hold<RowsView>({&place, 1}));
    for (; id != unestimated_.end() && place_of(*id) == place; ++id) {
      const float distance = scorer.one(held.at<RowsView>(place), row_of(*id));
      if (!std::isnan(distance)) compared_.push_back({distance, *id});
    }
    held.let_go<RowsView>({&place, 1});
  }
  return {};
}

// In the order of ids.
void CodedScan::keep_nearest(std::size_t count) {
  if (compared_.size() > count) {
    const auto end = compared_.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(compared_.begin(), end, compared_.end(), [](const Scored& a, const Scored& b) {
      return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
    });
    compared_.erase(end, compared_.end());
  }
  std::sort(compared_.begin(), compared_.end(),
            [](const Scored& a, const Scored& b) { return a.id < b.id; });
}

}  // namespace varve::engine
