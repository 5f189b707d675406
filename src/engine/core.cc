#include "engine/core.h"

#include <cmath>

#include "kernels/distance.h"

namespace varve::engine {

void normalise(float* row, std::uint32_t dim) {
  const double norm = kernels::squared_norm_exact(row, dim);
  if (norm <= 0) return;
  // In double: the inverse of a tiny norm overflows a float.
  const double scale = 1.0 / std::sqrt(norm);
  for (std::uint32_t i = 0; i < dim; ++i) {
    row[i] = static_cast<float>(static_cast<double>(row[i]) * scale);
  }
}

std::vector<double> mean_of(std::span<const float> values, std::uint32_t dim) {
  std::vector<double> mean(dim, 0);
  for (std::size_t i = 0; i < values.size(); ++i) mean[i % dim] += values[i];
  for (double& value : mean) value /= static_cast<double>(values.size() / dim);
  return mean;
}

std::vector<float> rows_for_clusters(const kernels::Rows& rows, Metric metric) {
  std::vector<float> values(rows.count * rows.dim);
  kernels::widen_all(rows, values.data(), rows.dim);
  if (metric == Metric::cosine) {
    for (std::size_t i = 0; i < rows.count; ++i) normalise(values.data() + i * rows.dim, rows.dim);
  }
  return values;
}

}  // namespace varve::engine
