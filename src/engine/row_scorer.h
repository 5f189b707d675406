// Distances of one query to rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/section_views.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::engine {

// A query as it was given, and what is made of it once. One thread; kept from query to query for
// its memory.
class RowScorer {
 public:
  // `query`: borrowed until the next call.
  void set(Metric metric, std::span<const float> query);
  // Of unit length under cosine.
  std::span<const float> unit() const { return unit_; }

  // Asks for the bytes of a row that will be compared soon.
  static void fetch(const RowsView& part, std::uint32_t row) {
    const std::byte* const at = part.rows.row(row);
    for (std::size_t i = 0; i < part.rows.stride_bytes; i += 64) __builtin_prefetch(at + i);
  }

  // Of all rows of one part, in float32.
  void all(const RowsView& part, float* out) const;
  // Of one row, in float32.
  float one(const RowsView& part, std::uint32_t row) const;
  // In double: what answers say and are ordered by.
  double exact(const kernels::Rows& rows, std::size_t row) const;

  // Upper bound of the float32 distance that a row nearer than `threshold` can show.
  float with_margin(float threshold) const;
  // A squared distance of what codes stand for, as a distance of the metric.
  float of_codes(float squared) const {
    return metric_ == Metric::cosine ? 0.5F * squared : squared;
  }

 private:
  bool is_whole(const kernels::Rows& rows) const;
  std::uint32_t whole_sum(const kernels::Rows& rows, std::uint32_t row) const;

  Metric metric_ = Metric::euclidean;
  std::span<const float> query_;
  std::vector<float> unit_;
  std::vector<std::int16_t> whole_;  // the query if it is of whole numbers as rows are; or empty
  double query_norm_ = 0;
  float error_ = 0;  // kernels::distance_error()
};

}  // namespace varve::engine
