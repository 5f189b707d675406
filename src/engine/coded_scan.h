// Candidates by the codes of the parts visited: signs leave a few rows, and these are compared, or
// estimated by their extra bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ann/sign_filter.h"
#include "base/result.h"
#include "engine/held_sections.h"
#include "engine/row_scorer.h"
#include "kernels/extra_codes.h"
#include "kernels/rotation.h"
#include "kernels/sign_codes.h"

namespace varve::engine {

// One thread. Kept from query to query for its memory.
class CodedScan {
 public:
  // `query`: of unit length under cosine.
  void start(const kernels::Rotation& rotation, const float* query);
  const kernels::SignTable& table() const { return table_; }

  // Rows (row_id) that may be among the `capacity` nearest of the parts that `held` was started
  // with: those within the rounding error of the k-th among the rows that the codes leave. The same
  // ones however much can be held at a time. `to_centroids`: for each place the squared distance of
  // the query to the centroid. REQUIRES: `capacity` is at most the number of live rows.
  Status nearest(HeldSections& held, const RowScorer& scorer, std::span<const float> to_centroids,
                 std::size_t capacity, std::vector<std::uint64_t>& ids);
  // A row and its distance: exact within the rounding of float32, or as its codes have it.
  struct Scored {
    float distance;
    std::uint64_t id;
  };
  // The `capacity` nearest by their codes alone, in the order of ids. Rows without codes are
  // compared themselves. Arguments as above; of the index, `directions` as many as the shape says.
  // REQUIRES: start() was called; the codes have extra bits.
  Status nearest_by_codes(HeldSections& held, const RowScorer& scorer,
                          std::span<const float> to_centroids, std::size_t capacity,
                          const kernels::ExtraShape& shape, const kernels::Directions& directions,
                          std::vector<Scored>& found);
  // Rows whose values the last search looked at.
  std::size_t rows_compared() const { return rows_compared_; }

 private:
  using Survivor = ann::SignFilter::Survivor;

  Status filter(HeldSections& held, std::span<const float> to_centroids, std::size_t capacity);
  void add_uncoded(const HeldSections& held);
  void list_places();
  Status compare_at_once(HeldSections& held, const RowScorer& scorer);
  Status compare_in_groups(HeldSections& held, const RowScorer& scorer);
  Status estimate(HeldSections& held, const RowScorer& scorer, std::span<const float> to_centroids);
  void estimate_group(const HeldSections& held, const RowScorer& scorer,
                      std::span<const float> to_centroids, std::span<const std::uint32_t> group);
  Status compare_unestimated(HeldSections& held, const RowScorer& scorer);
  void keep_nearest(std::size_t count);
  template <typename Fetch, typename DistanceOf>
  void compare(const RowScorer& scorer, Fetch fetch, DistanceOf distance_of);

  std::vector<float> rotated_;
  kernels::SignTable table_;
  ann::SignFilter filter_;
  std::size_t capacity_ = 1;
  std::vector<Survivor> survivors_;  // after those without codes, the capacity_ that seem nearest
  std::vector<std::uint32_t> coded_places_;
  std::vector<std::uint32_t> places_;  // of survivors, ascending
  std::vector<float> distances_;       // of survivors, if compared in groups
  std::vector<Scored> compared_;
  std::size_t rows_compared_ = 0;
  kernels::ExtraQuery extra_;
  std::vector<std::uint64_t> unestimated_;  // ids of rows without codes, or with useless ones
  kernels::UpperBounds nearest_;            // of the distances
};

}  // namespace varve::engine
