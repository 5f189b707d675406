#include "kernels/select.h"

#include <bit>
#include <cstring>
#include <limits>

#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/select.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

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
  auto least = hn::Set(d, std::numeric_limits<float>::infinity());
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

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(select_within);
HWY_EXPORT(select_least);

[[maybe_unused]] const bool kObeyed = obey_environment();

}  // namespace

std::size_t place_of_least(std::span<const float> values) {
  return HWY_DYNAMIC_DISPATCH(select_least)(values.data(), values.size());
}

std::size_t places_within(std::span<const float> values, float limit, std::uint32_t* places) {
  return HWY_DYNAMIC_DISPATCH(select_within)(values.data(), values.size(), limit, places);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
