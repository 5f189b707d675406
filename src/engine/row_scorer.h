// Distances of one query to rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/section_views.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::engine {

// Borrows the query. Immutable; thread-safe.
class RowScorer {
 public:
  // `query` as given; `unit`: under cosine the same of unit length, else the same.
  RowScorer(Metric metric, std::span<const float> query, const float* unit);

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
  Metric metric_;
  std::span<const float> query_;
  const float* unit_;
  double query_norm_;
};

}  // namespace varve::engine
