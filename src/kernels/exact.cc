// The reference distances: eight interleaved sums in double on every target, so that every machine
// gives the same bits. This file is compiled without contraction (src/CMakeLists.txt): a fused
// multiply-add rounds once where it promises twice.
#include <algorithm>

#include "kernels/distance.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/exact.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

// What all targets share.
#ifndef VARVE_KERNELS_EXACT_ONCE
#define VARVE_KERNELS_EXACT_ONCE
namespace varve::kernels {

constexpr std::size_t kExactLanes = 8;

}  // namespace varve::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// A float at `p` and the next, as many as there are lanes of doubles.
#if HWY_TARGET == HWY_SCALAR
using Doubles = hn::ScalableTag<double>;
HWY_INLINE hn::Vec<Doubles> load_doubles(const float* p) {
  return hn::Set(Doubles(), static_cast<double>(*p));
}
#else
using Doubles = hn::CappedTag<double, kExactLanes>;
HWY_INLINE hn::Vec<Doubles> load_doubles(const float* p) {
  return hn::PromoteTo(Doubles(), hn::LoadU(hn::Rebind<float, Doubles>(), p));
}
#endif
using DoubleVec = hn::Vec<Doubles>;
constexpr std::size_t kWidth = hn::MaxLanes(Doubles());

struct SquareOfDifference {
  static HWY_INLINE DoubleVec term(DoubleVec query, DoubleVec row) {
    const auto difference = hn::Sub(query, row);
    return hn::Mul(difference, difference);
  }
  static double term(double query, double row) { return (query - row) * (query - row); }
};

struct ExactProduct {
  static HWY_INLINE DoubleVec term(DoubleVec query, DoubleVec row) { return hn::Mul(query, row); }
  static double term(double query, double row) { return query * row; }
};

// Adds term j to sums[j % 8].
template <class Op>
HWY_INLINE void add_terms(const float* query, const float* row, std::size_t count, double* sums) {
  constexpr std::size_t kVectors = kExactLanes / kWidth;
  DoubleVec held[kVectors];
  VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
    held[v] = hn::LoadU(Doubles(), sums + v * kWidth);
  }
  std::size_t j = 0;
  for (; j + kExactLanes <= count; j += kExactLanes) {
    VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
      const std::size_t at = j + v * kWidth;
      held[v] = hn::Add(held[v], Op::term(load_doubles(query + at), load_doubles(row + at)));
    }
  }
  VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(held[v], Doubles(), sums + v * kWidth);
  }
  for (std::size_t lane = 0; j < count; ++j, ++lane) {
    sums[lane] += Op::term(static_cast<double>(query[j]), static_cast<double>(row[j]));
  }
}

void add_squares_of_differences(const float* query, const float* row, std::size_t count,
                                double* sums) {
  add_terms<SquareOfDifference>(query, row, count, sums);
}

void add_products(const float* query, const float* row, std::size_t count, double* sums) {
  add_terms<ExactProduct>(query, row, count, sums);
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(add_squares_of_differences);
HWY_EXPORT(add_products);

[[maybe_unused]] const bool kObeyed = obey_environment();

constexpr std::size_t kChunk = 512;  // values widened at a time
static_assert(kChunk % kExactLanes == 0, "a chunk ends where lane 0 is next");

struct Sums {
  double lanes[kExactLanes] = {};

  double joined() const {
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  }
};

// Calls add(first value, widened values, how many, sums) for parts of the row.
template <class Add>
double sum_over(const Rows& rows, std::size_t row, Add add) {
  Sums sums;
  if (rows.type == RowType::f32) {
    add(0, reinterpret_cast<const float*>(rows.row(row)), rows.dim, sums.lanes);
    return sums.joined();
  }
  alignas(64) float wide[kChunk];
  const std::size_t bytes = element_bytes(rows.type);
  for (std::size_t first = 0; first < rows.dim; first += kChunk) {
    const auto count = std::min<std::size_t>(kChunk, rows.dim - first);
    const Rows part{rows.row(row) + first * bytes, 1, rows.stride_bytes,
                    static_cast<std::uint32_t>(count), rows.type};
    widen(part, 0, wide);
    add(first, wide, count, sums.lanes);
  }
  return sums.joined();
}

}  // namespace

double squared_l2_exact(const float* query, const Rows& rows, std::size_t row) {
  return sum_over(
      rows, row, [query](std::size_t first, const float* values, std::size_t count, double* sums) {
        HWY_DYNAMIC_DISPATCH(add_squares_of_differences)(query + first, values, count, sums);
      });
}

double inner_product_exact(const float* query, const Rows& rows, std::size_t row) {
  return sum_over(rows, row,
                  [query](std::size_t first, const float* values, std::size_t count, double* sums) {
                    HWY_DYNAMIC_DISPATCH(add_products)(query + first, values, count, sums);
                  });
}

double squared_norm_exact(const float* query, std::uint32_t dim) {
  Sums sums;
  HWY_DYNAMIC_DISPATCH(add_products)(query, query, dim, sums.lanes);
  return sums.joined();
}

double squared_norm_exact(const Rows& rows, std::size_t row) {
  return sum_over(rows, row, [](std::size_t, const float* values, std::size_t count, double* sums) {
    HWY_DYNAMIC_DISPATCH(add_products)(values, values, count, sums);
  });
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
