#include "kernels/distance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/distance.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Accumulators of one row, the same in every pass, so that a row's distance does not depend on its
// neighbours; and rows that one pass takes, as many as the registers hold. distance_error() counts
// on kLanes * kAccumulators >= 8.
#if HWY_TARGET == HWY_SCALAR
constexpr std::size_t kAccumulators = 8;
constexpr std::size_t kRowsPerPass = 1;
#elif HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr std::size_t kAccumulators = 4;
constexpr std::size_t kRowsPerPass = 4;
#else
constexpr std::size_t kAccumulators = 4;
constexpr std::size_t kRowsPerPass = 2;
#endif
constexpr std::size_t kStep = kLanes * kAccumulators;
static_assert(kStep >= 8);

// The last `count` = dim % kLanes values. Rows of at least kLanes values are read from
// `dim - kLanes`, inside the row, and the values that were counted before become 0; shorter rows
// are copied. The same goes for the query, so the zeros of both meet.
template <class Row>
HWY_INLINE FloatVec load_tail(const typename Row::Element* row, std::size_t dim,
                              std::size_t count) {
  if (dim >= kLanes) {
    const auto counted = hn::FirstN(Floats(), kLanes - count);
    return hn::IfThenZeroElse(counted, Row::load(row + (dim - kLanes)));
  }
  HWY_ALIGN typename Row::Element copy[kLanes] = {};
  std::memcpy(copy, row, count * sizeof(copy[0]));
  return Row::load(copy);
}

HWY_INLINE FloatVec float_tail(const float* values, std::size_t dim) {
  const std::size_t count = dim % kLanes;
  return count == 0 ? hn::Zero(Floats()) : load_tail<F32>(values, dim, count);
}

struct SquaredL2 {
  static HWY_INLINE FloatVec query(const float* p) { return hn::LoadU(Floats(), p); }
  static HWY_INLINE FloatVec query_tail(const float* query, std::size_t dim) {
    return float_tail(query, dim);
  }
  static HWY_INLINE FloatVec add(FloatVec query, FloatVec row, FloatVec sum) {
    const FloatVec difference = hn::Sub(query, row);
    return hn::MulAdd(difference, difference, sum);
  }
};

struct InnerProduct {
  static HWY_INLINE FloatVec query(const float* p) { return hn::LoadU(Floats(), p); }
  static HWY_INLINE FloatVec query_tail(const float* query, std::size_t dim) {
    return float_tail(query, dim);
  }
  static HWY_INLINE FloatVec add(FloatVec query, FloatVec row, FloatVec sum) {
    return hn::MulAdd(query, row, sum);
  }
};

struct SquaredNorm {
  static HWY_INLINE FloatVec query(const float*) { return hn::Zero(Floats()); }
  static HWY_INLINE FloatVec query_tail(const float*, std::size_t) { return hn::Zero(Floats()); }
  static HWY_INLINE FloatVec add(FloatVec, FloatVec row, FloatVec sum) {
    return hn::MulAdd(row, row, sum);
  }
};

HWY_INLINE FloatVec joined(const FloatVec* sums) {
  FloatVec sum = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
  if constexpr (kAccumulators == 8) {
    sum = hn::Add(sum, hn::Add(hn::Add(sums[4], sums[5]), hn::Add(sums[6], sums[7])));
  }
  return sum;
}

// out[r] = the sum of the lanes of sums[r], for up to four rows with the shuffles of one. Absent
// rows count as zeros, so that each sum has one order, however many rows there are.
#if HWY_TARGET == HWY_SCALAR
template <std::size_t kRows>
HWY_INLINE void store_totals(const FloatVec* sums, float* out) {
  for (std::size_t r = 0; r < kRows; ++r) out[r] = hn::GetLane(sums[r]);
}
#else
template <class D>
HWY_INLINE hn::Vec<hn::CappedTag<float, 4> > sum_of_blocks(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(d) == 4) {
    return v;
  } else {
    const hn::Half<D> half;
    return sum_of_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

template <std::size_t kRows>
HWY_INLINE void store_totals(const FloatVec* sums, float* out) {
  static_assert(kRows <= 4);
  const Floats d;
  const hn::Repartition<double, Floats> wide;
  FloatVec all[4];
  VARVE_UNROLL for (std::size_t r = 0; r < 4; ++r) all[r] = r < kRows ? sums[r] : hn::Zero(d);
  const auto pair01 =
      hn::Add(hn::InterleaveLower(d, all[0], all[1]), hn::InterleaveUpper(d, all[0], all[1]));
  const auto pair23 =
      hn::Add(hn::InterleaveLower(d, all[2], all[3]), hn::InterleaveUpper(d, all[2], all[3]));
  const auto wide01 = hn::BitCast(wide, pair01);
  const auto wide23 = hn::BitCast(wide, pair23);
  const auto blocks = hn::Add(hn::BitCast(d, hn::InterleaveLower(wide, wide01, wide23)),
                              hn::BitCast(d, hn::InterleaveUpper(wide, wide01, wide23)));
  HWY_ALIGN float totals[4];
  hn::Store(sum_of_blocks(d, blocks), hn::CappedTag<float, 4>(), totals);
  std::memcpy(out, totals, kRows * sizeof(float));
}
#endif

// Bytes between what is computed and what is fetched. Short rows need more than the next pass, and
// the processor's own prefetch stops at pages.
constexpr std::size_t kAheadBytes = 4096;

// `starts`: of the rows; `ahead`: bytes from each to one that a later pass takes in its place, 0 if
// there is none.
template <class Row, class Op, std::size_t kRows>
HWY_INLINE void pass(const float* query, FloatVec query_tail, const std::byte* const* starts,
                     const std::ptrdiff_t* ahead, std::size_t dim, float* out) {
  using Element = typename Row::Element;
  constexpr std::size_t kStepBytes = kStep * sizeof(Element);
  const Element* rows[kRows];
  FloatVec sums[kRows][kAccumulators];
  VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) {
    rows[r] = reinterpret_cast<const Element*>(starts[r]);
    VARVE_UNROLL for (auto& sum : sums[r]) sum = hn::Zero(Floats());
  }
  std::size_t j = 0;
  for (; j + kStep <= dim; j += kStep) {
    VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) {
      const auto* next = reinterpret_cast<const std::byte*>(rows[r] + j) + ahead[r];
      VARVE_UNROLL for (std::size_t at = 0; at < kStepBytes; at += 64) hwy::Prefetch(next + at);
    }
    VARVE_UNROLL for (std::size_t a = 0; a < kAccumulators; ++a) {
      const FloatVec q = Op::query(query + j + a * kLanes);
      VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) {
        sums[r][a] = Op::add(q, Row::load(rows[r] + j + a * kLanes), sums[r][a]);
      }
    }
  }
  VARVE_UNROLL for (std::size_t a = 0; a + 1 < kAccumulators; ++a) {
    if (j + kLanes > dim) break;
    const FloatVec q = Op::query(query + j);
    VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) {
      sums[r][a] = Op::add(q, Row::load(rows[r] + j), sums[r][a]);
    }
    j += kLanes;
  }
  if (const std::size_t left = dim % kLanes; left != 0) {
    VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) {
      FloatVec& sum = sums[r][kAccumulators - 1];
      sum = Op::add(query_tail, load_tail<Row>(rows[r], dim, left), sum);
    }
  }
  FloatVec row_sums[kRows];
  VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) row_sums[r] = joined(sums[r]);
  store_totals<kRows>(row_sums, out);
}

template <class Row, class Op, std::size_t kRows>
HWY_INLINE void pass_from(const float* query, FloatVec query_tail, const Rows& rows, std::size_t i,
                          std::size_t ahead, float* out) {
  const std::byte* starts[kRows];
  std::ptrdiff_t aheads[kRows];
  for (std::size_t r = 0; r < kRows; ++r) {
    starts[r] = rows.row(i + r);
    aheads[r] = static_cast<std::ptrdiff_t>(ahead);
  }
  pass<Row, Op, kRows>(query, query_tail, starts, aheads, rows.dim, out);
}

template <class Row, class Op>
HWY_NOINLINE void all_rows(const float* query, const Rows& rows, const std::uint32_t*, float* out) {
  const FloatVec tail = Op::query_tail(query, rows.dim);
  const std::size_t pass_bytes = std::max<std::size_t>(kRowsPerPass * rows.stride_bytes, 1);
  const std::size_t jump = (kAheadBytes + pass_bytes - 1) / pass_bytes * kRowsPerPass;
  std::size_t i = 0;
  for (; i + kRowsPerPass <= rows.count; i += kRowsPerPass) {
    const std::size_t ahead = i + jump < rows.count ? jump * rows.stride_bytes : 0;
    pass_from<Row, Op, kRowsPerPass>(query, tail, rows, i, ahead, out + i);
  }
  for (; i < rows.count; ++i) pass_from<Row, Op, 1>(query, tail, rows, i, 0, out + i);
}

// Rows indexes[0], ... of rows.count.
template <class Row, class Op>
HWY_NOINLINE void chosen_rows(const float* query, const Rows& rows, const std::uint32_t* indexes,
                              float* out) {
  const FloatVec tail = Op::query_tail(query, rows.dim);
  for (std::size_t i = 0; i < rows.count; i += kRowsPerPass) {
    const std::byte* starts[kRowsPerPass];
    std::ptrdiff_t aheads[kRowsPerPass];
    const std::size_t width = HWY_MIN(kRowsPerPass, rows.count - i);
    for (std::size_t r = 0; r < width; ++r) {
      starts[r] = rows.row(indexes[i + r]);
      const std::size_t later = i + r + kRowsPerPass;
      aheads[r] = later < rows.count ? rows.row(indexes[later]) - starts[r] : 0;
    }
    if (width == kRowsPerPass) {
      pass<Row, Op, kRowsPerPass>(query, tail, starts, aheads, rows.dim, out + i);
      continue;
    }
    for (std::size_t r = 0; r < width; ++r) {
      pass<Row, Op, 1>(query, tail, starts + r, aheads + r, rows.dim, out + i + r);
    }
  }
}

template <class Op, template <class> class Visit>
HWY_INLINE void rows_of_any_type(const float* query, const Rows& rows, const std::uint32_t* indexes,
                                 float* out) {
  switch (rows.type) {
    case RowType::f32:
      return Visit<Op>::template rows<F32>(query, rows, indexes, out);
    case RowType::f16:
      return Visit<Op>::template rows<F16>(query, rows, indexes, out);
    case RowType::bf16:
      return Visit<Op>::template rows<Bf16>(query, rows, indexes, out);
    case RowType::u8:
      return Visit<Op>::template rows<U8>(query, rows, indexes, out);
    case RowType::i8:
      return Visit<Op>::template rows<I8>(query, rows, indexes, out);
  }
}

template <class Op>
struct All {
  template <class Row>
  static HWY_INLINE void rows(const float* query, const Rows& rows, const std::uint32_t* indexes,
                              float* out) {
    all_rows<Row, Op>(query, rows, indexes, out);
  }
};

template <class Op>
struct Chosen {
  template <class Row>
  static HWY_INLINE void rows(const float* query, const Rows& rows, const std::uint32_t* indexes,
                              float* out) {
    chosen_rows<Row, Op>(query, rows, indexes, out);
  }
};

void squared_l2_rows(const float* query, const Rows& rows, float* out) {
  rows_of_any_type<SquaredL2, All>(query, rows, nullptr, out);
}

void inner_product_rows(const float* query, const Rows& rows, float* out) {
  rows_of_any_type<InnerProduct, All>(query, rows, nullptr, out);
}

void squared_norm_rows(const Rows& rows, float* out) {
  rows_of_any_type<SquaredNorm, All>(nullptr, rows, nullptr, out);
}

void squared_l2_chosen(const float* query, const Rows& rows, const std::uint32_t* indexes,
                       float* out) {
  rows_of_any_type<SquaredL2, Chosen>(query, rows, indexes, out);
}

void inner_product_chosen(const float* query, const Rows& rows, const std::uint32_t* indexes,
                          float* out) {
  rows_of_any_type<InnerProduct, Chosen>(query, rows, indexes, out);
}

template <class Op>
HWY_INLINE float one(const float* a, const float* b, std::uint32_t dim) {
  float out = 0;
  const auto* const start = reinterpret_cast<const std::byte*>(b);
  constexpr std::ptrdiff_t kNone = 0;
  pass<F32, Op, 1>(a, Op::query_tail(a, dim), &start, &kNone, dim, &out);
  return out;
}

float squared_l2_pair(const float* a, const float* b, std::uint32_t dim) {
  return one<SquaredL2>(a, b, dim);
}

float inner_product_pair(const float* a, const float* b, std::uint32_t dim) {
  return one<InnerProduct>(a, b, dim);
}

void add_row(const float* row, std::uint32_t dim, float* sums) {
  std::size_t j = 0;
  for (; j + kLanes <= dim; j += kLanes) {
    hn::StoreU(hn::Add(F32::load(sums + j), F32::load(row + j)), Floats(), sums + j);
  }
  for (; j < dim; ++j) sums[j] += row[j];
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(squared_l2_rows);
HWY_EXPORT(inner_product_rows);
HWY_EXPORT(squared_norm_rows);
HWY_EXPORT(squared_l2_chosen);
HWY_EXPORT(inner_product_chosen);
HWY_EXPORT(squared_l2_pair);
HWY_EXPORT(inner_product_pair);
HWY_EXPORT(add_row);

[[maybe_unused]] const bool kObeyed = obey_environment();

}  // namespace

// Let u = 2^-24 and P = kLanes * kAccumulators >= 8 the partial sums of a row. A computed term
// carries at most 3 factors (1 + e), |e| <= u: two from the difference, which is squared, one from
// the product where there is no fused multiply-add. It is then added into its partial sum, which
// gets at most dim / P + 1 terms, and passes the log2(P) <= 6 additions that join the partial sums.
// With n = dim / 8 + 10 such factors the result is off by at most n u / (1 - n u) times the sum of
// |t_i| (Higham, Accuracy and Stability of Numerical Algorithms, lemma 3.1).
float distance_error(std::uint32_t dim) {
  const double factors = (static_cast<double>(dim) / 8 + 10) * 0x1p-24;
  const double bound = factors / (1 - factors);
  return std::nextafter(static_cast<float>(bound), std::numeric_limits<float>::infinity());
}

void squared_l2(const float* query, const Rows& rows, float* out) {
  HWY_DYNAMIC_DISPATCH(squared_l2_rows)(query, rows, out);
}

void inner_product(const float* query, const Rows& rows, float* out) {
  HWY_DYNAMIC_DISPATCH(inner_product_rows)(query, rows, out);
}

void squared_norm(const Rows& rows, float* out) {
  HWY_DYNAMIC_DISPATCH(squared_norm_rows)(rows, out);
}

void squared_l2_at(const float* query, const Rows& rows, std::span<const std::uint32_t> indexes,
                   float* out) {
  const Rows chosen{rows.data, indexes.size(), rows.stride_bytes, rows.dim, rows.type};
  HWY_DYNAMIC_DISPATCH(squared_l2_chosen)(query, chosen, indexes.data(), out);
}

void inner_product_at(const float* query, const Rows& rows, std::span<const std::uint32_t> indexes,
                      float* out) {
  const Rows chosen{rows.data, indexes.size(), rows.stride_bytes, rows.dim, rows.type};
  HWY_DYNAMIC_DISPATCH(inner_product_chosen)(query, chosen, indexes.data(), out);
}

float squared_l2_one(const float* a, const float* b, std::uint32_t dim) {
  return HWY_DYNAMIC_DISPATCH(squared_l2_pair)(a, b, dim);
}

float inner_product_one(const float* a, const float* b, std::uint32_t dim) {
  return HWY_DYNAMIC_DISPATCH(inner_product_pair)(a, b, dim);
}

void add_to(const float* row, std::uint32_t dim, float* sums) {
  HWY_DYNAMIC_DISPATCH(add_row)(row, dim, sums);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
