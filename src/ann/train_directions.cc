#include "ann/train_directions.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace varve::ann {
namespace {

using kernels::kDirectionsMax;
using kernels::kDirectionsStep;

// Fewer rows have main directions by chance.
constexpr std::size_t kRowsMin = 1024;
// One direction for so many dimensions at most: queries pay for each.
constexpr std::uint32_t kDimsPerDirection = 12;
// Trained beside those that are kept: the last of a set converge slowly.
constexpr std::uint32_t kSpare = 16;
constexpr int kRounds = 8;
// Directions are kept if the square of the error along a query falls below this part of what the
// same bits gain in the grid. Real embeddings gain nothing that can be told above it.
constexpr double kErrorLeftMax = 0.5;
constexpr double kDirectionBits = 4;

// Values of a standard normal distribution, near enough for a beginning.
float normal_value(base::Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += random.unit();
  return static_cast<float>(sum);
}

// Row-major.
struct Matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<float> values;

  Matrix(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}
  float* row(std::size_t i) { return values.data() + i * columns; }
  const float* row(std::size_t i) const { return values.data() + i * columns; }
  kernels::MatrixView view(std::size_t first, std::size_t count) const {
    return {row(first), count, columns};
  }
};

constexpr std::size_t kBlockRows = 64;

// a . b^T
Matrix product(const Matrix& a, const Matrix& b, base::Pool& pool) {
  Matrix out(a.rows, b.rows);
  pool.parallel_for((a.rows + kBlockRows - 1) / kBlockRows, [&](std::size_t block) {
    const std::size_t first = block * kBlockRows;
    const std::size_t count = std::min(kBlockRows, a.rows - first);
    kernels::inner_product_matrix(a.view(first, count), b.view(0, b.rows),
                                  static_cast<std::uint32_t>(a.columns), out.row(first), b.rows);
  });
  return out;
}

Matrix transposed(const Matrix& a) {
  Matrix out(a.columns, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < a.columns; ++j) out.row(j)[i] = a.row(i)[j];
  }
  return out;
}

double inner(const float* a, const float* b, std::size_t count) {
  double sum = 0;
  for (std::size_t j = 0; j < count; ++j) {
    sum += static_cast<double>(a[j]) * static_cast<double>(b[j]);
  }
  return sum;
}

// Rows to length 1 and at right angles to those before them; rows that lie within the others
// become zero. Twice is enough (Giraud, Langou and Rozloznik, 2005).
void orthonormalise(Matrix& a) {
  for (std::size_t i = 0; i < a.rows; ++i) {
    float* const row = a.row(i);
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t k = 0; k < i; ++k) {
        const auto along = static_cast<float>(inner(row, a.row(k), a.columns));
        for (std::size_t j = 0; j < a.columns; ++j) row[j] -= along * a.row(k)[j];
      }
    }
    const double length = std::sqrt(inner(row, row, a.columns));
    const auto scale = static_cast<float>(length > 0 ? 1 / length : 0);
    for (std::size_t j = 0; j < a.columns; ++j) row[j] *= scale;
  }
}

// What lies between some of the rows, spread over all, and their centroids, rotated.
Matrix rotated_differences(kernels::MatrixView rows, const CentroidSet& centroids,
                           const kernels::Rotation& rotation, base::Pool& pool) {
  const std::size_t count = std::min(rows.count, kDirectionRows);
  const std::size_t dim = rotation.dim();
  Matrix chosen(count, dim);
  for (std::size_t i = 0; i < count; ++i) {
    const float* const row = rows.data + i * rows.count / count * rows.stride;
    std::copy_n(row, dim, chosen.row(i));
  }
  std::vector<std::uint32_t> nearest(count);
  centroids.assign(chosen.view(0, count), nearest, {}, pool);
  Matrix out(count, rotation.padded_dim());
  for (std::size_t i = 0; i < count; ++i) {
    const auto centroid = centroids.centroid(nearest[i]);
    for (std::size_t j = 0; j < dim; ++j) chosen.row(i)[j] -= centroid[j];
    rotation.apply(chosen.row(i), out.row(i));
  }
  return out;
}

// How much of the square error of estimates the best number of directions leaves, and that number.
// `shares`: of the squares of all rows, what lies along each direction.
struct Choice {
  double left = 1;
  std::uint32_t count = 0;
};
Choice choose_count(std::span<const double> shares, std::uint32_t padded_dim) {
  Choice best;
  double share = 0;
  for (std::uint32_t k = 1; k <= shares.size(); ++k) {
    share += shares[k - 1];
    if (k % kDirectionsStep != 0) continue;
    // A bit less for each dimension makes the error of the grid twice as large.
    const double left = (1 - share) * std::exp2(2 * kDirectionBits * k / padded_dim);
    if (left < best.left) best = {left, k};
  }
  return best;
}

}  // namespace

// Orthogonal iteration (Golub and Van Loan, Matrix Computations, 8.2.4): the first m rows span what
// the m main directions do.
kernels::Directions train_directions(kernels::MatrixView rows, const CentroidSet& centroids,
                                     const kernels::Rotation& rotation, std::uint32_t extra_words,
                                     std::uint64_t seed, base::Pool& pool) {
  const std::uint32_t width = rotation.padded_dim();
  const std::uint32_t words_a_bit = width / 64;
  if (rows.count < kRowsMin || extra_words <= words_a_bit) return {};
  // The grid keeps a bit beside the sign.
  const std::uint32_t spare_words = extra_words - words_a_bit;
  const std::uint32_t most =
      std::min({kDirectionsMax, width / kDimsPerDirection / kDirectionsStep * kDirectionsStep,
                spare_words * kDirectionsStep});
  if (most == 0) return {};
  const Matrix differences = rotated_differences(rows, centroids, rotation, pool);
  const double all =
      inner(differences.values.data(), differences.values.data(), differences.values.size());
  // Of rows that are their centroids, or too far for float32, there is nothing to learn.
  if (!(all > 0) || !std::isfinite(static_cast<float>(all))) return {};
  const Matrix columns = transposed(differences);
  Matrix basis(most + kSpare, width);
  base::Random random(seed);
  for (float& value : basis.values) value = normal_value(random);
  orthonormalise(basis);
  for (int round = 0; round < kRounds; ++round) {
    basis = product(product(basis, differences, pool), columns, pool);
    orthonormalise(basis);
  }
  const Matrix along = product(basis, differences, pool);
  std::vector<double> shares(most);
  for (std::size_t k = 0; k < most; ++k) {
    shares[k] = inner(along.row(k), along.row(k), along.columns) / all;
  }
  const Choice chosen = choose_count(shares, width);
  if (chosen.count == 0 || chosen.left > kErrorLeftMax) return {};
  return kernels::Directions::from_units(
      width, std::span(basis.values).first(std::size_t{chosen.count} * width));
}

}  // namespace varve::ann
