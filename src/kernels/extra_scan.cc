#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/extra_codes.h"
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

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(extra_product);

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

void ExtraQuery::set(const float* rotated, const ExtraShape& shape) {
  shape_ = shape;
  const std::size_t dim = shape.padded_dim;
  whole_.resize(dim);
  of_signs_.resize(dim * 4);
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
  for (std::size_t j = 0; j < dim; j += 4) {
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

ExtraEstimate ExtraQuery::estimate(const std::byte* block, std::size_t place,
                                   const std::byte* extra, float to_centroid) const {
  const std::int32_t signs = sign_product(of_signs_.data(), shape_.padded_dim / 4, block, place);
  const std::int64_t product = HWY_DYNAMIC_DISPATCH(extra_product)(shape_, extra, whole_.data()) +
                               (std::int64_t{signs} * 4 << shape_.bits) + base_;
  std::uint64_t factors;
  std::memcpy(&factors, extra + extra_row_bytes(shape_) - kExtraFactorBytes, sizeof(factors));
  const float add = float_of_f24(static_cast<std::uint32_t>(factors));
  const float rescale = float_of_f24(static_cast<std::uint32_t>(factors >> 24));
  const auto error = static_cast<std::uint16_t>(factors >> 48);
  const double estimate =
      static_cast<double>(add) + static_cast<double>(to_centroid) -
      2 * static_cast<double>(rescale) * static_cast<double>(step_) * static_cast<double>(product);
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
