#include "engine/coded_scan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "format/part.h"

namespace varve::engine {
namespace {

constexpr float kNoLimit = std::numeric_limits<float>::infinity();
constexpr float kNoBound = -std::numeric_limits<float>::infinity();
constexpr std::size_t kCacheLine = 64;
// Rows that are on their way from memory while one is compared.
constexpr std::size_t kAhead = 4;

void prefetch(const RowsView& part, std::uint32_t row) {
  const std::byte* const at = part.rows.row(row);
  const std::size_t bytes = part.rows.dim * kernels::element_bytes(part.rows.type);
  for (std::size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(at + i);
}

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
  list_places();
  VARVE_CHECK(held.keeps_all() ? compare_at_once(held, scorer) : compare_in_groups(held, scorer));
  // Distances that overflow are all equal: the exact ones decide.
  const bool is_full = nearest_.size() == capacity_;
  const float limit = is_full ? scorer.with_margin(nearest_.front()) : kNoLimit;
  ids.clear();
  for (const Compared& one : compared_) {
    if (one.distance <= limit) ids.push_back(one.id);
  }
  return {};
}

Status CodedScan::filter(HeldSections& held, std::span<const float> to_centroids,
                         std::size_t capacity) {
  filter_.start(capacity);
  all_places_.clear();
  for (std::uint32_t place = 0; place < held.parts().size(); ++place) {
    if (format::has_codes(held.part(place).slot->ref)) all_places_.push_back(place);
  }
  for (std::span<const std::uint32_t> rest = all_places_; !rest.empty();) {
    const auto group = rest.first(held.count_within(rest, {format::Section::codes}));
    VARVE_CHECK(held.hold<CodesView>(group));
    for (const std::uint32_t place : group) {
      const PartView& part = held.part(place);
      filter_.add(table_, held.at<CodesView>(place).blocks(), part.slot->ref.rows,
                  to_centroids[place], row_id(place, 0), part.stale_words());
    }
    held.let_go<CodesView>(group);
    rest = rest.subspan(group.size());
  }
  survivors_.clear();
  add_uncoded(held);
  const auto filtered = filter_.finish();
  survivors_.insert(survivors_.end(), filtered.begin(), filtered.end());
  return {};
}

void CodedScan::add_uncoded(const HeldSections& held) {
  for (std::uint32_t place = 0; place < held.parts().size(); ++place) {
    const PartView& part = held.part(place);
    if (format::has_codes(part.slot->ref)) continue;
    for (std::uint32_t row = 0; row < part.slot->ref.rows; ++row) {
      if (!part.is_stale(row)) survivors_.push_back({kNoBound, row_id(place, row)});
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
  VARVE_CHECK(held.hold<RowsView>(places_));
  const auto prefetch_at = [&](std::size_t i) {
    if (i >= survivors_.size()) return;
    const std::uint64_t id = survivors_[i].id;
    prefetch(held.at<RowsView>(place_of(id)), row_of(id));
  };
  for (std::size_t i = 0; i < kAhead; ++i) prefetch_at(i);
  compare(scorer, [&](std::size_t i) {
    prefetch_at(i + kAhead);
    const std::uint64_t id = survivors_[i].id;
    return scorer.one(held.at<RowsView>(place_of(id)), row_of(id));
  });
  return {};
}

Status CodedScan::compare_in_groups(HeldSections& held, const RowScorer& scorer) {
  distances_.resize(survivors_.size());
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
  compare(scorer, [&](std::size_t i) { return distances_[i]; });
  return {};
}

// Nearest bounds first: once a bound is beyond the k-th distance, so are all that follow.
template <typename DistanceOf>
void CodedScan::compare(const RowScorer& scorer, DistanceOf distance_of) {
  compared_.clear();
  nearest_.clear();
  for (std::size_t i = 0; i < survivors_.size(); ++i) {
    const bool is_full = nearest_.size() == capacity_;
    if (is_full && scorer.of_codes(survivors_[i].lower) > scorer.with_margin(nearest_.front())) {
      return;
    }
    const float distance = distance_of(i);
    // Of damaged rows only.
    if (std::isnan(distance)) continue;
    compared_.push_back({distance, survivors_[i].id});
    offer(distance);
  }
}

void CodedScan::offer(float distance) {
  if (nearest_.size() < capacity_) {
    nearest_.push_back(distance);
    std::push_heap(nearest_.begin(), nearest_.end());
    return;
  }
  if (!(distance < nearest_.front())) return;
  std::pop_heap(nearest_.begin(), nearest_.end());
  nearest_.back() = distance;
  std::push_heap(nearest_.begin(), nearest_.end());
}

}  // namespace varve::engine
