#include "kernels/distance.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/whole_distance.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Differences of bytes are within 510, and 4,096 squares of them within 2^31.
#if HWY_TARGET == HWY_SCALAR
template <class Element>
void whole_rows(const std::int16_t* query, const Rows& rows, const std::uint32_t* indexes,
                std::uint32_t* out) {
  for (std::size_t i = 0; i < rows.count; ++i) {
    const auto* row = reinterpret_cast<const Element*>(rows.row(indexes[i]));
    std::int32_t sum = 0;
    for (std::uint32_t j = 0; j < rows.dim; ++j) sum += (query[j] - row[j]) * (query[j] - row[j]);
    out[i] = static_cast<std::uint32_t>(sum);
  }
}
#else
using Shorts = hn::ScalableTag<std::int16_t>;
using ShortVec = hn::Vec<Shorts>;
constexpr std::size_t kShorts = hn::MaxLanes(Shorts());
constexpr std::size_t kWholeRows = 4;

template <class Element>
HWY_INLINE ShortVec difference(const std::int16_t* query, const Element* row) {
  const auto bytes = hn::LoadU(hn::Rebind<Element, Shorts>(), row);
  return hn::Sub(hn::LoadU(Shorts(), query), hn::PromoteTo(Shorts(), bytes));
}

// The last dim % kShorts values, and zeros; as load_tail() of distance.cc.
template <class Element>
HWY_INLINE ShortVec last_difference(const std::int16_t* query, const Element* row,
                                    std::size_t dim) {
  const std::size_t count = dim % kShorts;
  if (dim >= kShorts) {
    const auto counted = hn::FirstN(Shorts(), kShorts - count);
    return hn::IfThenZeroElse(counted, difference(query + dim - kShorts, row + dim - kShorts));
  }
  HWY_ALIGN std::int16_t query_copy[kShorts] = {};
  HWY_ALIGN Element row_copy[kShorts] = {};
  for (std::size_t j = 0; j < count; ++j) {
    query_copy[j] = query[j];
    row_copy[j] = row[j];
  }
  return difference(query_copy, row_copy);
}

struct WholeSum {
  hn::Vec<Ints> sum0, sum1;

  HWY_INLINE void add(ShortVec v) {
    sum0 = hn::ReorderWidenMulAccumulate(Ints(), v, v, sum0, sum1);
  }
  HWY_INLINE std::uint32_t total() const {
    return static_cast<std::uint32_t>(
        hn::GetLane(hn::SumOfLanes(Ints(), hn::RearrangeToOddPlusEven(sum0, sum1))));
  }
};

// `next`: rows that the next call takes.
template <class Element, std::size_t kRows>
HWY_INLINE void whole_pass(const std::int16_t* query, const Element* const* rows,
                           const Element* const* next, std::size_t dim, std::uint32_t* out) {
  WholeSum sums[kRows];
  VARVE_UNROLL for (auto& sum : sums) sum = {hn::Zero(Ints()), hn::Zero(Ints())};
  std::size_t j = 0;
  for (; j + kShorts <= dim; j += kShorts) {
    VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) {
      if (j % 64 == 0) hwy::Prefetch(next[r] + j);
      sums[r].add(difference(query + j, rows[r] + j));
    }
  }
  if (j < dim) {
    VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) {
      hwy::Prefetch(next[r] + dim - 1);
      sums[r].add(last_difference(query, rows[r], dim));
    }
  }
  VARVE_UNROLL for (std::size_t r = 0; r < kRows; ++r) out[r] = sums[r].total();
}

template <class Element>
void whole_rows(const std::int16_t* query, const Rows& rows, const std::uint32_t* indexes,
                std::uint32_t* out) {
  const auto row = [&](std::size_t i) {
    return reinterpret_cast<const Element*>(rows.row(indexes[i]));
  };
  for (std::size_t i = 0; i < rows.count; i += kWholeRows) {
    const Element* now[kWholeRows];
    const Element* next[kWholeRows];
    const std::size_t width = HWY_MIN(kWholeRows, rows.count - i);
    for (std::size_t r = 0; r < width; ++r) {
      now[r] = row(i + r);
      next[r] = i + r + kWholeRows < rows.count ? row(i + r + kWholeRows) : now[r];
    }
    if (width == kWholeRows) {
      whole_pass<Element, kWholeRows>(query, now, next, rows.dim, out + i);
      continue;
    }
    for (std::size_t r = 0; r < width; ++r) {
      whole_pass<Element, 1>(query, now + r, next + r, rows.dim, out + i + r);
    }
  }
}
#endif

void whole_rows_of(const std::int16_t* query, const Rows& rows, const std::uint32_t* indexes,
                   std::uint32_t* out) {
  if (rows.type == RowType::u8) return whole_rows<std::uint8_t>(query, rows, indexes, out);
  whole_rows<std::int8_t>(query, rows, indexes, out);
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(whole_rows_of);

[[maybe_unused]] const bool kObeyed = obey_environment();

}  // namespace

void squared_l2_whole_at(const std::int16_t* query, const Rows& rows,
                         std::span<const std::uint32_t> indexes, std::uint32_t* out) {
  const Rows chosen{rows.data, indexes.size(), rows.stride_bytes, rows.dim, rows.type};
  HWY_DYNAMIC_DISPATCH(whole_rows_of)(query, chosen, indexes.data(), out);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
