#include "kernels/directions.h"

#include <cmath>

#include "base/assert.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/directions.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE std::int32_t whole_product(const std::int16_t* a, const std::int16_t* b,
                                      std::size_t count) {
  // What does not fit wraps, as in vectors.
  std::uint32_t sum = 0;
  for (std::size_t j = 0; j < count; ++j) sum += static_cast<std::uint32_t>(a[j] * b[j]);
  return static_cast<std::int32_t>(sum);
}
#else
namespace hn = hwy::HWY_NAMESPACE;

// `count` is a multiple of 64.
HWY_INLINE std::int32_t whole_product(const std::int16_t* a, const std::int16_t* b,
                                      std::size_t count) {
  const hn::CappedTag<std::int16_t, 32> d;
  const hn::RepartitionToWide<decltype(d)> sums;
  auto even = hn::Zero(sums), odd = hn::Zero(sums), more = hn::Zero(sums), odd_more = more;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t j = 0; j < count; j += 2 * lanes) {
    even = hn::ReorderWidenMulAccumulate(sums, hn::LoadU(d, a + j), hn::LoadU(d, b + j), even, odd);
    more = hn::ReorderWidenMulAccumulate(sums, hn::LoadU(d, a + j + lanes),
                                         hn::LoadU(d, b + j + lanes), more, odd_more);
  }
  return hn::GetLane(hn::SumOfLanes(sums, hn::Add(hn::Add(even, odd), hn::Add(more, odd_more))));
}
#endif

// `out[k]`: of row k of `rows` and `vector`.
void whole_products(std::span<const std::int16_t> rows, std::size_t dim, const std::int16_t* vector,
                    std::int32_t* out) {
  for (; !rows.empty(); rows = rows.subspan(dim)) *out++ = whole_product(rows.data(), vector, dim);
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(whole_products);

[[maybe_unused]] const bool kObeyed = obey_environment();

// Sums run in so many interleaved lanes.
constexpr std::size_t kLanes = 8;

}  // namespace

Directions::Directions(std::uint32_t padded_dim, std::vector<std::int16_t> values)
    : padded_dim_(padded_dim),
      count_(static_cast<std::uint32_t>(values.size() / padded_dim)),
      values_(std::move(values)) {
  VARVE_ASSERT(padded_dim % 64 == 0 && values_.size() % padded_dim == 0);
  VARVE_ASSERT(count_ % kDirectionsStep == 0 && count_ <= kDirectionsMax);
}

Directions Directions::from_units(std::uint32_t padded_dim, std::span<const float> units) {
  std::vector<std::int16_t> values;
  values.reserve(units.size());
  for (const float value : units) {
    values.push_back(
        static_cast<std::int16_t>(std::lrint(value * static_cast<float>(kDirectionLength))));
  }
  return {padded_dim, std::move(values)};
}

bool Directions::is_length(std::span<const std::int16_t> direction) {
  double squares = 0;
  for (const std::int16_t value : direction) {
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  return std::abs(std::sqrt(squares) / kDirectionLength - 1) <= 1.0 / 32;
}

// Products are exact in double: whether they are fused does not matter.
void Directions::project(const float* rotated, float* along) const {
  for (std::uint32_t k = 0; k < count_; ++k) {
    const std::int16_t* const direction = values_.data() + std::size_t{k} * padded_dim_;
    double sums[kLanes] = {};
    for (std::size_t j = 0; j < padded_dim_; j += kLanes) {
      for (std::size_t l = 0; l < kLanes; ++l) {
        sums[l] += static_cast<double>(direction[j + l]) * static_cast<double>(rotated[j + l]);
      }
    }
    double sum = 0;
    for (const double part : sums) sum += part;
    along[k] = static_cast<float>(sum / kDirectionLength);
  }
}

void Directions::multiply(const std::int16_t* vector, std::int32_t* out) const {
  HWY_DYNAMIC_DISPATCH(whole_products)(values_, padded_dim_, vector, out);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
