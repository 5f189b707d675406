#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "kernels/extra_codes.h"
#include "kernels/extra_error.h"
#include "kernels/short_floats.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/extra_scan.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Of a plane of kWidth bits a dimension: the sum of bits times query. 4096 dimensions of 4 bits
// times kWholeMax fit into 32 bits.
#if HWY_TARGET == HWY_SCALAR
template <int kWidth>
std::int32_t plane_product(const std::uint16_t* plane, std::size_t words,
                           const std::int16_t* query) {
  std::int32_t sum = 0;
  for (int at = 0; at < 16; at += kWidth, query += words) {
    for (std::size_t w = 0; w < words; ++w) {
      sum += (plane[w] >> at & ((1 << kWidth) - 1)) * query[w];
    }
  }
  return sum;
}
#else
// All bits of one vector of words.
template <int kWidth, int kAt = 0, class D, class Sums>
HWY_INLINE void add_words(D d, Sums sums, hn::Vec<D> words, std::size_t stride,
                          const std::int16_t* query, hn::Vec<Sums>& sum, hn::Vec<Sums>& odd) {
  if constexpr (kAt < 16) {
    const hn::RebindToSigned<D> whole;
    const auto mask = hn::Set(d, static_cast<std::uint16_t>((1U << kWidth) - 1));
    const auto bits = hn::BitCast(whole, hn::And(hn::ShiftRight<kAt>(words), mask));
    sum = hn::ReorderWidenMulAccumulate(sums, bits, hn::LoadU(whole, query), sum, odd);
    add_words<kWidth, kAt + kWidth>(d, sums, words, stride, query + stride, sum, odd);
  }
}

// Words from `w` on that fill whole vectors of kCount; then narrower ones. The number of words is a
// multiple of 4.
template <int kWidth, std::size_t kCount>
HWY_INLINE std::int32_t product_from(std::size_t w, const std::uint16_t* plane, std::size_t words,
                                     const std::int16_t* query) {
  const hn::CappedTag<std::uint16_t, kCount> d;
  const hn::RepartitionToWide<hn::RebindToSigned<decltype(d)> > sums;
  auto sum = hn::Zero(sums), odd = hn::Zero(sums);
  const std::size_t begin = w;
  for (; w + kCount <= words; w += kCount) {
    add_words<kWidth>(d, sums, hn::LoadU(d, plane + w), words, query + w, sum, odd);
  }
  std::int32_t total = 0;
  if (w != begin) total = hn::GetLane(hn::SumOfLanes(sums, hn::Add(sum, odd)));
  if constexpr (kCount > 4) {
    if (w < words) total += product_from<kWidth, kCount / 2>(w, plane, words, query);
  }
  return total;
}

template <int kWidth>
HWY_INLINE std::int32_t plane_product(const std::uint16_t* plane, std::size_t words,
                                      const std::int16_t* query) {
  constexpr std::size_t kWords = hn::MaxLanes(hn::ScalableTag<std::uint16_t>());
  return product_from<kWidth, kWords>(0, plane, words, query);
}
#endif

// Sum over j of twice the number of the half step of dimension j, less its sign, times query[j].
std::int64_t extra_product(const ExtraShape& shape, const std::byte* extra,
                           const std::int16_t* query) {
  const auto* plane = reinterpret_cast<const std::uint16_t*>(extra);
  std::int64_t sum = 0;
  unsigned left = shape.bits;
  if ((shape.bits & 4) != 0) {
    const std::size_t words = shape.padded_dim / 4;
    sum += std::int64_t{plane_product<4>(plane, words, query)} << (left -= 4);
    plane += words;
  }
  if ((shape.bits & 2) != 0) {
    const std::size_t words = shape.padded_dim / 8;
    sum += std::int64_t{plane_product<2>(plane, words, query)} << (left -= 2);
    plane += words;
  }
  if ((shape.bits & 1) != 0) {
    const std::size_t words = shape.padded_dim / 16;
    sum += plane_product<1>(plane, words, query);
    plane += words;
  }
  return 4 * sum + 2 * std::int64_t{plane_product<1>(plane, shape.wider_dims / 16, query)};
}

// Sum over directions of the number of the step times `along`.
std::int32_t along_product(const std::byte* plane, std::uint32_t directions,
                           const std::int16_t* along) {
  return plane_product<4>(reinterpret_cast<const std::uint16_t*>(plane), directions / 4, along);
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(extra_product);
HWY_EXPORT(along_product);

[[maybe_unused]] const bool kObeyed = obey_environment();

// Steps of the largest value of the query: four of them fit into 16 bits, and what they round is
// far below the width of a step of 7 bits.
constexpr float kWholeMax = 8191;
// Below it a step would not be a normal number; such a query is one of zeros.
constexpr float kLargestMin = 1e-30F;

// The sum of the query over dimensions whose sign is set.
std::int32_t sign_product(const std::int16_t* of_signs, std::size_t groups, const std::byte* block,
                          std::size_t place) {
  const auto* code = reinterpret_cast<const std::uint8_t*>(block) + place % 16;
  const unsigned shift = place < 16 ? 0 : 4;
  std::int32_t sums[4] = {};
  // A multiple of 64 dimensions: whole fours of groups.
  for (std::size_t group = 0; group < groups; group += 4) {
    for (std::size_t i = 0; i < 4; ++i) {
      sums[i] += of_signs[(group + i) * 16 + (code[(group + i) * 16] >> shift & 15)];
    }
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace

void ExtraQuery::set(const float* rotated, const ExtraShape& shape, const Directions& directions) {
  VARVE_ASSERT(directions.count() == shape.directions);
  shape_ = shape;
  const std::size_t dim = shape.padded_dim;
  whole_.resize(dim);
  float largest = 0;
  for (std::size_t j = 0; j < dim; ++j) largest = std::max(largest, std::abs(rotated[j]));
  const bool is_zero = !(largest >= kLargestMin);
  const float per_step = is_zero ? 0 : kWholeMax / largest;
  step_ = is_zero ? 0 : largest / kWholeMax;
  std::int64_t fine = 0, all = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    whole_[j] = static_cast<std::int16_t>(std::lrint(rotated[j] * per_step));
    all += whole_[j];
    if (j < shape.wider_dims) fine += whole_[j];
  }
  // A half step n has the value 2 n + 1 - 2^(bits + 2), a step the middle of its halves.
  base_ = (2 - (std::int64_t{4} << shape.bits)) * all - fine;
  set_signs();
  set_along(directions);
}

void ExtraQuery::set_signs() {
  of_signs_.resize(whole_.size() * 4);
  for (std::size_t j = 0; j < whole_.size(); j += 4) {
    std::int16_t* const entries = of_signs_.data() + j * 4;
    entries[0] = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t half = std::size_t{1} << i;
      for (std::size_t code = 0; code < half; ++code) {
        entries[half + code] = static_cast<std::int16_t>(entries[code] + whole_[j + i]);
      }
    }
  }
}

void ExtraQuery::set_along(const Directions& directions) {
  products_.resize(directions.count());
  along_.resize(directions.count());
  directions.multiply(whole_.data(), products_.data());
  std::int32_t largest = 0;
  for (const std::int32_t product : products_) largest = std::max(largest, std::abs(product));
  const float per_step = largest == 0 ? 0 : kWholeMax / static_cast<float>(largest);
  // Of twice the number of a step less 15, which is whole.
  along_step_ = largest == 0 ? 0 : step_ / kDirectionLength / per_step / 2;
  along_base_ = 0;
  for (std::size_t k = 0; k < along_.size(); ++k) {
    along_[k] = static_cast<std::int16_t>(std::lrint(static_cast<float>(products_[k]) * per_step));
    along_base_ -= static_cast<std::int64_t>(2 * kErrorMiddle) * along_[k];
  }
}

ExtraEstimate ExtraQuery::estimate(const std::byte* block, std::size_t place,
                                   const std::byte* extra, float to_centroid) const {
  const std::int32_t signs = sign_product(of_signs_.data(), shape_.padded_dim / 4, block, place);
  const std::int64_t product = HWY_DYNAMIC_DISPATCH(extra_product)(shape_, extra, whole_.data()) +
                               (std::int64_t{signs} * 4 << shape_.bits) + base_;
  const std::byte* const end = extra + extra_row_bytes(shape_) - kExtraFactorBytes;
  std::uint64_t factors;
  std::memcpy(&factors, end, sizeof(factors));
  const float add = float_of_f24(static_cast<std::uint32_t>(factors));
  const float rescale = float_of_f24(static_cast<std::uint32_t>(factors >> 24));
  const auto error = static_cast<std::uint16_t>(factors >> 48);
  double estimate =
      static_cast<double>(add) + static_cast<double>(to_centroid) -
      2 * static_cast<double>(rescale) * static_cast<double>(step_) * static_cast<double>(product);
  if (shape_.directions > 0) {
    const std::int64_t along =
        2 * std::int64_t{HWY_DYNAMIC_DISPATCH(along_product)(end - shape_.directions / 2,
                                                             shape_.directions, along_.data())} +
        along_base_;
    estimate -=
        2 * error_step(error) * static_cast<double>(along_step_) * static_cast<double>(along);
  }
  const double lower = estimate - static_cast<double>(float_of_bf16(error)) *
                                      std::sqrt(static_cast<double>(to_centroid));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (!std::isfinite(static_cast<float>(estimate)) || !(lower <= estimate)) {
    return {-kInfinity, -kInfinity};
  }
  return {static_cast<float>(lower), static_cast<float>(estimate)};
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
