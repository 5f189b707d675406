#include "kernels/select.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/select.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

// What all targets share.
#ifndef VARVE_KERNELS_SELECT_ONCE
#define VARVE_KERNELS_SELECT_ONCE
namespace varve::kernels {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kColumns = 16;
// More are not found in columns, which would have to be too deep.
constexpr std::size_t kColumnsMax = 40;

}  // namespace varve::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Bits of the lanes at `values` that are not above the limit.
HWY_INLINE std::uint32_t lanes_within(const float* values, FloatVec limit) {
  const Floats d;
  const auto in = hn::Not(hn::Gt(hn::LoadU(d, values), limit));
  HWY_ALIGN std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(d, in, bytes);
  std::uint32_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return bits;
}

std::size_t select_within(const float* values, std::size_t count, float limit,
                          std::uint32_t* places) {
  const auto limits = hn::Set(Floats(), limit);
  std::size_t found = 0, i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::uint32_t bits = lanes_within(values + i, limits); bits != 0; bits &= bits - 1) {
      places[found++] =
          static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(std::countr_zero(bits));
    }
  }
  for (; i < count; ++i) {
    places[found] = static_cast<std::uint32_t>(i);
    found += !(values[i] > limit);
  }
  return found;
}

std::size_t select_least(const float* values, std::size_t count) {
  const Floats d;
  auto least = hn::Set(d, kInfinity);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    // A NaN is not below anything, on any target.
    const auto v = hn::LoadU(d, values + i);
    least = hn::IfThenElse(hn::Lt(v, least), v, least);
  }
  float best = hn::GetLane(hn::MinOfLanes(d, least));
  for (std::size_t j = i; j < count; ++j) best = values[j] < best ? values[j] : best;
  const auto limits = hn::Set(d, best);
  for (i = 0; i + kLanes <= count; i += kLanes) {
    const auto found = hn::FindFirstTrue(d, hn::Eq(hn::LoadU(d, values + i), limits));
    if (found >= 0) return i + static_cast<std::size_t>(found);
  }
  for (; i < count; ++i) {
    if (values[i] == best) return i;
  }
  return 0;
}

// Columns of values, kColumns apart, keep their kDepth least each.
template <std::size_t kDepth>
float least_of_columns(const float* values, std::size_t count, std::size_t k) {
  const Floats d;
  constexpr std::size_t kVectors = kColumns / kLanes;
  const auto infinity = hn::Set(d, kInfinity);
  FloatVec kept[kDepth][kVectors];
  VARVE_UNROLL for (std::size_t i = 0; i < kDepth; ++i) {
    VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) kept[i][v] = infinity;
  }
  const auto add = [&](std::size_t v, FloatVec value) HWY_ATTR {
    value = hn::IfThenElse(hn::Lt(value, infinity), value, infinity);
    VARVE_UNROLL for (std::size_t i = 0; i < kDepth; ++i) {
      const auto greater = hn::Max(kept[i][v], value);
      kept[i][v] = hn::Min(kept[i][v], value);
      value = greater;
    }
  };
  std::size_t at = 0;
  for (; at + kColumns <= count; at += kColumns) {
    VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
      add(v, hn::LoadU(d, values + at + v * kLanes));
    }
  }
  HWY_ALIGN float rest[kColumns];
  std::fill_n(rest, kColumns, kInfinity);
  std::copy(values + at, values + count, rest);
  VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) add(v, hn::Load(d, rest + v * kLanes));

  HWY_ALIGN float all[kDepth * kColumns];
  VARVE_UNROLL for (std::size_t i = 0; i < kDepth; ++i) {
    VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
      hn::Store(kept[i][v], d, all + i * kColumns + v * kLanes);
    }
  }
  // The least with k or more up to it.
  float least = kInfinity;
  for (const float one : all) {
    const auto limit = hn::Set(d, one);
    std::size_t within = 0;
    VARVE_UNROLL for (std::size_t i = 0; i < kDepth; ++i) {
      VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
        within += hn::CountTrue(d, hn::Le(kept[i][v], limit));
      }
    }
    least = within >= k && one < least ? one : least;
  }
  return least;
}

struct Range {
  float low, high;
};

// Of the numbers that are finite; low > high if there are none.
Range range_of(const float* values, std::size_t count) {
  const Floats d;
  auto low = hn::Set(d, kInfinity), high = hn::Set(d, -kInfinity);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto v = hn::LoadU(d, values + i);
    const auto finite = hn::IsFinite(v);
    low = hn::IfThenElse(hn::And(finite, hn::Lt(v, low)), v, low);
    high = hn::IfThenElse(hn::And(finite, hn::Gt(v, high)), v, high);
  }
  Range range{hn::GetLane(hn::MinOfLanes(d, low)), hn::GetLane(hn::MaxOfLanes(d, high))};
  for (; i < count; ++i) {
    if (!std::isfinite(values[i])) continue;
    range.low = std::min(range.low, values[i]);
    range.high = std::max(range.high, values[i]);
  }
  return range;
}

std::size_t count_within(const float* values, std::size_t count, float limit) {
  const Floats d;
  const auto limits = hn::Set(d, limit);
  std::size_t within = 0, i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    within += hn::CountTrue(d, hn::Le(hn::LoadU(d, values + i), limits));
  }
  for (; i < count; ++i) within += values[i] <= limit;
  return within;
}

// Halves the range of the values until its upper end leaves about k.
float least_by_halves(const float* values, std::size_t count, std::size_t k) {
  auto [low, high] = range_of(values, count);
  if (!(low <= high) || count_within(values, count, high) < k) return kInfinity;
  if (count_within(values, count, low) >= k) return low;
  // Ends where no number is between them, if not before.
  while (true) {
    const float middle = low / 2 + high / 2;
    if (!(low < middle && middle < high)) return high;
    const std::size_t within = count_within(values, count, middle);
    if (within < k) {
      low = middle;
      continue;
    }
    if (within <= k + k / 16) return middle;
    high = middle;
  }
}

float about_kth(const float* values, std::size_t count, std::size_t k) {
  if (k > kColumnsMax) return least_by_halves(values, count, k);
  return k <= kColumns ? least_of_columns<2>(values, count, k)
                       : least_of_columns<4>(values, count, k);
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(select_within);
HWY_EXPORT(select_least);
HWY_EXPORT(about_kth);

[[maybe_unused]] const bool kObeyed = obey_environment();

}  // namespace

std::size_t place_of_least(std::span<const float> values) {
  return HWY_DYNAMIC_DISPATCH(select_least)(values.data(), values.size());
}

std::size_t places_within(std::span<const float> values, float limit, std::uint32_t* places) {
  return HWY_DYNAMIC_DISPATCH(select_within)(values.data(), values.size(), limit, places);
}

float about_kth_least(std::span<const float> values, std::size_t k) {
  VARVE_ASSERT(k >= 1);
  return HWY_DYNAMIC_DISPATCH(about_kth)(values.data(), values.size(), k);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
