// A . B^T after Goto and van de Geijn (Anatomy of High-Performance Matrix Multiplication): panels
// of B and blocks of A are copied to where the innermost loop reads them in order, and that loop
// keeps a tile of the result in registers.
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/distance.h"
#include "kernels/target.h"

#ifndef VARVE_KERNELS_MATRIX_ONCE
#define VARVE_KERNELS_MATRIX_ONCE
namespace varve::kernels {
namespace {

// Of a panel of B (kMostColumns x kMostDepth, 1.2 MB) and a block of A (kMostRows x kMostDepth,
// 0.4 MB) both fit the second-level cache of a server core. Multiples of every tile side below.
constexpr std::size_t kMostDepth = 400;
constexpr std::size_t kMostRows = 240;
constexpr std::size_t kMostColumns = 768;

// Fewer rows than this do not repay the copying.
constexpr std::size_t kLeastRows = 4;
constexpr std::size_t kLeastColumns = 8;

struct Product {
  MatrixView a;
  MatrixView b;
  std::size_t dim = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
};

}  // namespace
}  // namespace varve::kernels
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matrix.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// A tile of the result: kTileRows x kTileVectors vectors must leave registers for kTileVectors
// vectors of B and one of A.
#if HWY_TARGET == HWY_AVX3
constexpr std::size_t kTileRows = 12;
constexpr std::size_t kTileVectors = 2;
#elif HWY_TARGET == HWY_AVX2
constexpr std::size_t kTileRows = 4;
constexpr std::size_t kTileVectors = 3;
#else
constexpr std::size_t kTileRows = 4;
constexpr std::size_t kTileVectors = 2;
#endif
constexpr std::size_t kTileColumns = kTileVectors * kLanes;
static_assert(kMostRows % kTileRows == 0 && kMostColumns % kTileColumns == 0);

// Four rows of `depth` values to `to[k * width + row]`.
HWY_INLINE void pack_four(const float* from, std::size_t stride, std::size_t depth,
                          std::size_t width, float* to) {
  std::size_t k = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<float, 4> d;
  const hn::CappedTag<double, 2> wide;
  for (; k + 4 <= depth; k += 4) {
    const auto row0 = hn::LoadU(d, from + k);
    const auto row1 = hn::LoadU(d, from + stride + k);
    const auto row2 = hn::LoadU(d, from + 2 * stride + k);
    const auto row3 = hn::LoadU(d, from + 3 * stride + k);
    const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, row0, row1));
    const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, row2, row3));
    const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, row0, row1));
    const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, row2, row3));
    float* at = to + k * width;
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), d, at);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), d, at + width);
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), d, at + 2 * width);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), d, at + 3 * width);
  }
#endif
  for (; k < depth; ++k) {
    for (std::size_t r = 0; r < 4; ++r) to[k * width + r] = from[r * stride + k];
  }
}

// Copies `count` rows, from value `first` on, in strips of kWidth rows: strip, then depth, then
// row. The last strip is filled up with zeros.
template <std::size_t kWidth>
void pack(const float* from, std::size_t stride, std::size_t count, std::size_t depth, float* to) {
  for (std::size_t done = 0; done < count; done += kWidth, to += kWidth * depth) {
    const std::size_t here = std::min(kWidth, count - done);
    std::size_t r = 0;
    for (; r + 4 <= here; r += 4)
      pack_four(from + (done + r) * stride, stride, depth, kWidth, to + r);
    for (; r < kWidth; ++r) {
      for (std::size_t k = 0; k < depth; ++k) {
        to[k * kWidth + r] = r < here ? from[(done + r) * stride + k] : 0.0F;
      }
    }
  }
}

// out[i][j] = or += sum_k a[k][i] * b[k][j] for one tile of packed strips.
HWY_INLINE void tile(const float* a, const float* b, std::size_t depth, bool add, float* out,
                     std::size_t out_stride) {
  const Floats d;
  FloatVec sums[kTileRows][kTileVectors];
  VARVE_UNROLL for (std::size_t i = 0; i < kTileRows; ++i) {
    VARVE_UNROLL for (std::size_t v = 0; v < kTileVectors; ++v) sums[i][v] = hn::Zero(d);
  }
  for (std::size_t k = 0; k < depth; ++k) {
    FloatVec columns[kTileVectors];
    VARVE_UNROLL for (std::size_t v = 0; v < kTileVectors; ++v) {
      columns[v] = hn::Load(d, b + v * kLanes);
    }
    VARVE_UNROLL for (std::size_t i = 0; i < kTileRows; ++i) {
      const FloatVec row = hn::Set(d, a[i]);
      VARVE_UNROLL for (std::size_t v = 0; v < kTileVectors; ++v) {
        sums[i][v] = hn::MulAdd(row, columns[v], sums[i][v]);
      }
    }
    a += kTileRows;
    b += kTileColumns;
  }
  VARVE_UNROLL for (std::size_t i = 0; i < kTileRows; ++i) {
    VARVE_UNROLL for (std::size_t v = 0; v < kTileVectors; ++v) {
      float* at = out + i * out_stride + v * kLanes;
      hn::StoreU(add ? hn::Add(hn::LoadU(d, at), sums[i][v]) : sums[i][v], d, at);
    }
  }
}

// A tile that reaches past the last row or column is made aside and copied in part.
HWY_NOINLINE void edge_tile(const float* a, const float* b, std::size_t depth, bool add, float* out,
                            std::size_t out_stride, std::size_t rows, std::size_t columns) {
  HWY_ALIGN float whole[kTileRows * kTileColumns];
  tile(a, b, depth, false, whole, kTileColumns);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      float& to = out[i * out_stride + j];
      to = add ? to + whole[i * kTileColumns + j] : whole[i * kTileColumns + j];
    }
  }
}

void packed_block(const float* a, std::size_t rows, const float* b, std::size_t columns,
                  std::size_t depth, bool add, float* out, std::size_t out_stride) {
  for (std::size_t j = 0; j < columns; j += kTileColumns) {
    for (std::size_t i = 0; i < rows; i += kTileRows) {
      const float* strip_a = a + i * depth;
      const float* strip_b = b + j * depth;
      float* to = out + i * out_stride + j;
      if (i + kTileRows <= rows && j + kTileColumns <= columns) {
        tile(strip_a, strip_b, depth, add, to, out_stride);
      } else {
        edge_tile(strip_a, strip_b, depth, add, to, out_stride, std::min(kTileRows, rows - i),
                  std::min(kTileColumns, columns - j));
      }
    }
  }
}

// `pack_a` and `pack_b` hold kMostRows and kMostColumns rows of kMostDepth values.
void blocked_product(const Product& p, float* pack_a, float* pack_b) {
  const std::size_t slices = (p.dim + kMostDepth - 1) / kMostDepth;
  const std::size_t slice = (p.dim + slices - 1) / slices;
  for (std::size_t k = 0; k < p.dim; k += slice) {
    const std::size_t depth = std::min(slice, p.dim - k);
    for (std::size_t j = 0; j < p.b.count; j += kMostColumns) {
      const std::size_t columns = std::min(kMostColumns, p.b.count - j);
      pack<kTileColumns>(p.b.data + j * p.b.stride + k, p.b.stride, columns, depth, pack_b);
      for (std::size_t i = 0; i < p.a.count; i += kMostRows) {
        const std::size_t rows = std::min(kMostRows, p.a.count - i);
        pack<kTileRows>(p.a.data + i * p.a.stride + k, p.a.stride, rows, depth, pack_a);
        packed_block(pack_a, rows, pack_b, columns, depth, k > 0, p.out + i * p.out_stride + j,
                     p.out_stride);
      }
    }
  }
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(blocked_product);

[[maybe_unused]] const bool kObeyed = obey_environment();

// One per thread, kept: blocks this large come from the kernel as fresh pages, and to touch those
// on each call would cost as much as a small product.
struct Workspace {
  hwy::AlignedFreeUniquePtr<float[]> a = hwy::AllocateAligned<float>(kMostRows * kMostDepth);
  hwy::AlignedFreeUniquePtr<float[]> b = hwy::AllocateAligned<float>(kMostColumns * kMostDepth);
};

}  // namespace

// As distance_error(), but each slice of kMostDepth terms goes through one sum, and the sums of the
// slices are added one by one. Products that are too small for tiles are made by inner_product(),
// which stays below this too.
float matrix_error(std::uint32_t dim) {
  const double depth = std::min<double>(dim, kMostDepth);
  const double factors = (depth + static_cast<double>(dim) / kMostDepth + 12) * 0x1p-24;
  const double bound = factors / (1 - factors);
  return std::nextafter(static_cast<float>(bound), std::numeric_limits<float>::infinity());
}

void inner_product_matrix(MatrixView a, MatrixView b, std::uint32_t dim, float* out,
                          std::size_t out_stride) {
  if (a.count < kLeastRows || b.count < kLeastColumns || dim == 0) {
    const Rows rows{reinterpret_cast<const std::byte*>(b.data), b.count, b.stride * sizeof(float),
                    dim, RowType::f32};
    for (std::size_t i = 0; i < a.count; ++i) {
      inner_product(a.data + i * a.stride, rows, out + i * out_stride);
    }
    return;
  }
  thread_local Workspace workspace;
  const Product product{a, b, dim, out, out_stride};
  HWY_DYNAMIC_DISPATCH(blocked_product)(product, workspace.a.get(), workspace.b.get());
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
