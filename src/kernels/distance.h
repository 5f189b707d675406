// Distances between float32 queries and rows of any type. One source (Highway), compiled for each
// instruction set and chosen at run time; VARVE_KERNELS_TARGET=scalar|sse4|avx2|avx3 forces one.
//
// Error: sums have at least 8 partial accumulators, so a sum of n terms t_i computed here differs
// from the true one by at most distance_error(dim) * sum |t_i|, as long as no term overflows and
// none but 0 is below 2^-126.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "kernels/rows.h"

namespace varve::kernels {

// Name of the instruction set in use, for example "AVX3".
std::string_view active_target();

// Relative bound of the rounding error of one float32 sum over `dim` terms: see above. For
// squared_l2 all terms are positive, so the bound is relative to the result itself.
float distance_error(std::uint32_t dim);

// out[i] = sum_j (query[j] - rows[i][j])^2. `query` has rows.dim values, `out` rows.count.
void squared_l2(const float* query, const Rows& rows, float* out);
// out[i] = sum_j query[j] * rows[i][j].
void inner_product(const float* query, const Rows& rows, float* out);
// The same for rows indexes[0], indexes[1], ... in any order, the same bits; rows that come next
// are fetched meanwhile. `rows.count` is not read.
void squared_l2_at(const float* query, const Rows& rows, std::span<const std::uint32_t> indexes,
                   float* out);
void inner_product_at(const float* query, const Rows& rows, std::span<const std::uint32_t> indexes,
                      float* out);
// The same in whole numbers, exact, and twice as fast. REQUIRES: rows are u8 or i8, and so is what
// `query` holds.
void squared_l2_whole_at(const std::int16_t* query, const Rows& rows,
                         std::span<const std::uint32_t> indexes, std::uint32_t* out);
// out[i] = sum_j rows[i][j]^2.
void squared_norm(const Rows& rows, float* out);
// One pair of float32 vectors: the same bits as the calls above give for this row.
float squared_l2_one(const float* a, const float* b, std::uint32_t dim);
float inner_product_one(const float* a, const float* b, std::uint32_t dim);

// out[i * out_stride + j] = a[i] . b[j] for row-major float32 matrices: a has `a_count` rows,
// b has `b_count`, all of `dim` values; strides in floats. Single-threaded; blocked for cache and
// registers, so large calls run at a good share of the peak. Keeps 1.6 MB per thread that called.
struct MatrixView {
  const float* data = nullptr;
  std::size_t count = 0;
  std::size_t stride = 0;  // in floats
};
void inner_product_matrix(MatrixView a, MatrixView b, std::uint32_t dim, float* out,
                          std::size_t out_stride);
// As distance_error(), for one result of inner_product_matrix(). Larger: a tile sums in order.
float matrix_error(std::uint32_t dim);

// In double, summed left to right in eight interleaved lanes in the same order on every target:
// the reference that orders exact answers. `row` is one row of `rows`.
double squared_l2_exact(const float* query, const Rows& rows, std::size_t row);
double inner_product_exact(const float* query, const Rows& rows, std::size_t row);
double squared_norm_exact(const float* query, std::uint32_t dim);
double squared_norm_exact(const Rows& rows, std::size_t row);

// sums[j] += row[j], for k-means updates.
void add_to(const float* row, std::uint32_t dim, float* sums);

}  // namespace varve::kernels
