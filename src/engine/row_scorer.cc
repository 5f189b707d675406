#include "engine/row_scorer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core.h"
#include "kernels/distance.h"

namespace varve::engine {
namespace {

bool is_byte(kernels::RowType type) {
  return type == kernels::RowType::u8 || type == kernels::RowType::i8;
}

}  // namespace

void RowScorer::set(Metric metric, std::span<const float> query) {
  metric_ = metric;
  query_ = query;
  unit_.assign(query.begin(), query.end());
  whole_.clear();
  const auto dim = static_cast<std::uint32_t>(query.size());
  error_ = kernels::distance_error(dim);
  if (metric == Metric::cosine) {
    normalise(unit_.data(), dim);
    query_norm_ = std::sqrt(kernels::squared_norm_exact(query.data(), dim));
  } else if (is_byte(kernels::narrowest_type(query))) {
    whole_.resize(query.size());
    std::transform(query.begin(), query.end(), whole_.begin(),
                   [](float value) { return static_cast<std::int16_t>(value); });
  }
}

// Whole numbers are compared as such, which is exact and faster.
bool RowScorer::is_whole(const kernels::Rows& rows) const {
  return !whole_.empty() && is_byte(rows.type);
}

std::uint32_t RowScorer::whole_sum(const kernels::Rows& rows, std::uint32_t row) const {
  std::uint32_t sum = 0;
  kernels::squared_l2_whole_at(whole_.data(), rows, {&row, 1}, &sum);
  return sum;
}

void RowScorer::all(const RowsView& part, float* out) const {
  if (metric_ == Metric::euclidean) {
    kernels::squared_l2(unit_.data(), part.rows, out);
    return;
  }
  kernels::inner_product(unit_.data(), part.rows, out);
  for (std::size_t i = 0; i < part.rows.count; ++i) out[i] = 1.0F - out[i] * part.inverse_norms[i];
  for (const std::uint32_t row : part.extreme) out[row] = static_cast<float>(exact(part.rows, row));
}

float RowScorer::one(const RowsView& part, std::uint32_t row) const {
  float out = 0;
  if (metric_ == Metric::euclidean) {
    if (is_whole(part.rows)) return static_cast<float>(whole_sum(part.rows, row));
    kernels::squared_l2(unit_.data(), part.rows.sub(row, 1), &out);
    return out;
  }
  const bool is_extreme = std::binary_search(part.extreme.begin(), part.extreme.end(), row);
  if (is_extreme) return static_cast<float>(exact(part.rows, row));
  kernels::inner_product(unit_.data(), part.rows.sub(row, 1), &out);
  return 1.0F - out * part.inverse_norms[row];
}

double RowScorer::exact(const kernels::Rows& rows, std::size_t row) const {
  if (is_whole(rows)) return static_cast<double>(whole_sum(rows, static_cast<std::uint32_t>(row)));
  if (metric_ == Metric::euclidean) return kernels::squared_l2_exact(query_.data(), rows, row);
  const double norm = std::sqrt(kernels::squared_norm_exact(rows, row));
  return 1.0 - kernels::inner_product_exact(query_.data(), rows, row) / (query_norm_ * norm);
}

float RowScorer::with_margin(float threshold) const {
  // Squares of tiny differences lose less than the smallest normal number.
  if (metric_ == Metric::euclidean) {
    return threshold * (1.0F + 4.0F * error_) + std::numeric_limits<float>::min();
  }
  // The product of unit vectors is at most 1, normalising included.
  return threshold + 8.0F * error_ + 1e-6F;
}

}  // namespace varve::engine
