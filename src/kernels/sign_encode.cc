#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>

#include "kernels/short_floats.h"
#include "kernels/sign_codes.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sign_encode.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

// What all targets share.
#ifndef VARVE_KERNELS_SIGN_ENCODE_ONCE
#define VARVE_KERNELS_SIGN_ENCODE_ONCE
namespace varve::kernels {

// Sums run in this many interleaved lanes on every target, so that all store the same bytes.
constexpr std::size_t kSumLanes = 16;

struct SignSums {
  double of_sizes = 0;       // sum |r_j|, which is r . s
  double of_squares = 0;     // r . r
  double with_centroid = 0;  // c . s
};

inline SignSums total_of(const SignSums (&lanes)[kSumLanes]) {
  SignSums total;
  for (const SignSums& lane : lanes) {
    total.of_sizes += lane.of_sizes;
    total.of_squares += lane.of_squares;
    total.with_centroid += lane.with_centroid;
  }
  return total;
}

}  // namespace varve::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Sums of a row, in lanes.
#if HWY_TARGET == HWY_SCALAR
struct SumLanes {
  SignSums lanes[kSumLanes];

  unsigned add(const float* rotated, const float* rotated_centroid) {
    unsigned word = 0;
    for (std::size_t l = 0; l < kSumLanes; ++l) {
      const auto value = static_cast<double>(rotated[l]);
      const auto centre = static_cast<double>(rotated_centroid[l]);
      const bool is_set = !(value < 0);
      lanes[l].of_sizes += std::abs(value);
      lanes[l].of_squares += value * value;
      lanes[l].with_centroid += is_set ? centre : -centre;
      word |= static_cast<unsigned>(is_set) << l;
    }
    return word;
  }
  SignSums total() const { return total_of(lanes); }
};
#else
using Doubles = hn::ScalableTag<double>;
using DoubleVec = hn::Vec<Doubles>;

struct SumLanes {
  static constexpr std::size_t kWidth = hn::MaxLanes(Doubles());
  static constexpr std::size_t kVectors = kSumLanes / kWidth;
  DoubleVec sizes[kVectors], squares[kVectors], products[kVectors];

  HWY_INLINE SumLanes() {
    VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
      sizes[v] = squares[v] = products[v] = hn::Zero(Doubles());
    }
  }
  // Returns the signs of 16 values.
  HWY_INLINE unsigned add(const float* rotated, const float* rotated_centroid) {
    const Doubles d;
    const hn::Rebind<float, Doubles> halves;
    unsigned word = 0;
    VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
      const auto value = hn::PromoteTo(d, hn::LoadU(halves, rotated + v * kWidth));
      const auto centre = hn::PromoteTo(d, hn::LoadU(halves, rotated_centroid + v * kWidth));
      const auto below = hn::Lt(value, hn::Zero(d));
      sizes[v] = hn::Add(sizes[v], hn::Abs(value));
      // The square of a float is exact in double, so that it may be fused.
      squares[v] = hn::MulAdd(value, value, squares[v]);
      products[v] = hn::Add(products[v], hn::IfThenElse(below, hn::Neg(centre), centre));
      HWY_ALIGN std::uint8_t bits[8] = {};
      hn::StoreMaskBits(d, below, bits);
      word |= static_cast<unsigned>(bits[0]) << (v * kWidth);
    }
    return ~word;
  }
  HWY_INLINE SignSums total() const {
    const Doubles d;
    HWY_ALIGN double stored[3][kSumLanes];
    VARVE_UNROLL for (std::size_t v = 0; v < kVectors; ++v) {
      hn::Store(sizes[v], d, stored[0] + v * kWidth);
      hn::Store(squares[v], d, stored[1] + v * kWidth);
      hn::Store(products[v], d, stored[2] + v * kWidth);
    }
    SignSums lanes[kSumLanes];
    for (std::size_t l = 0; l < kSumLanes; ++l) {
      lanes[l] = {stored[0][l], stored[1][l], stored[2][l]};
    }
    return total_of(lanes);
  }
};
#endif

// Writes 16 signs a word, bit j % 16 of word j / 16 set where value j is not below 0. `first`: the
// sums of the first `first_dim` values.
SignSums sum_signs(const float* rotated, const float* rotated_centroid, std::size_t first_dim,
                   std::size_t dim, std::uint16_t* words, SignSums& first) {
  SumLanes lanes;
  const auto add_from_to = [&](std::size_t from, std::size_t to) HWY_ATTR {
    for (std::size_t j = from; j < to; j += kSumLanes) {
      words[j / kSumLanes] =
          static_cast<std::uint16_t>(lanes.add(rotated + j, rotated_centroid + j));
    }
  };
  add_from_to(0, first_dim);
  if (first_dim > 0) first = lanes.total();
  add_from_to(first_dim, dim);
  return lanes.total();
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(sum_signs);

[[maybe_unused]] const bool kObeyed = obey_environment();

constexpr std::size_t kGroupBytes = 16;
constexpr std::size_t kDimMax = 4096;

// Of the error in units of its spread: RaBitQ's choice. 1.2 loses a third of a point of recall.
constexpr double kSpread = 1.9;

template <typename T>
void store(std::byte* at, std::size_t place, T value) {
  std::memcpy(at + place * sizeof(T), &value, sizeof(T));
}

// Four bits of a word into the byte of the row in each group of four dimensions.
void store_signs(std::span<const std::uint16_t> words, std::size_t place, std::byte* block) {
  std::byte* at = block + place % 16;
  const unsigned shift = place < 16 ? 0 : 4;
  for (const std::uint16_t word : words) {
    for (unsigned group = 0; group < 4; ++group, at += kGroupBytes) {
      *at |= static_cast<std::byte>((word >> (4 * group) & 15) << shift);
    }
  }
}

// With signs s of `signs` of the dim dimensions, 0 in the others, r . q is estimated by
// (s . q)(r . r)/(r . s), whose error has the spread |r||q| sqrt((1 - a^2) / a^2 / (dim - 1)),
// a = r . s / (|r| sqrt(signs)) (RaBitQ, theorem 3.2). The query is not centred, so c . s of the
// row is taken off where it is added. `sums`: of those dimensions, but of_squares of all.
void store_factors(const SignSums& sums, double signs, double dim, std::size_t place,
                   std::byte* factors) {
  const double rescale = sums.of_sizes > 0 ? sums.of_squares / sums.of_sizes : 0;
  const double cosine2 =
      sums.of_squares > 0 ? sums.of_sizes * sums.of_sizes / (sums.of_squares * signs) : 1;
  const double spread = std::sqrt(std::max(0.0, 1 - cosine2) / cosine2 / (dim - 1));
  // What rounding `rescale` to bf16 does to the estimate is taken back as far as it is known.
  const std::uint16_t rounded = bf16_of(rescale);
  const auto used = static_cast<double>(float_of_bf16(rounded));
  store(factors, place, static_cast<float>(sums.of_squares + 2 * used * sums.with_centroid));
  store(factors + 4 * kSignBlockRows, place, rounded);
  store(factors + 6 * kSignBlockRows, place,
        bf16_of(2 * kSpread * spread * std::sqrt(sums.of_squares)));
}

}  // namespace

void encode_signs(const float* rotated, const float* rotated_centroid, std::uint32_t padded_dim,
                  std::size_t place, std::byte* block, SignSteps steps) {
  std::array<std::uint16_t, kDimMax / kSumLanes> words;
  const std::uint32_t first_dim = steps == SignSteps::two ? sign_first_dim(padded_dim) : 0;
  SignSums first;
  const SignSums all = HWY_DYNAMIC_DISPATCH(sum_signs)(rotated, rotated_centroid, first_dim,
                                                       padded_dim, words.data(), first);
  store_signs(std::span(words).first(padded_dim / kSumLanes), place, block);
  std::byte* const factors = block + std::size_t{padded_dim} * 4;
  store_factors(all, padded_dim, padded_dim, place, factors);
  if (steps == SignSteps::one) return;
  first.of_squares = all.of_squares;
  store_factors(first, first_dim, padded_dim, place, factors + kSignFactorBytes);
}

void encode_sign_rows(const float* rotated, std::size_t count, const float* rotated_centroid,
                      std::uint32_t padded_dim, std::byte* blocks) {
  const std::size_t block_bytes = sign_block_bytes(padded_dim);
  for (std::size_t i = 0; i < count; ++i) {
    encode_signs(rotated + i * padded_dim, rotated_centroid, padded_dim, i % kSignBlockRows,
                 blocks + i / kSignBlockRows * block_bytes);
  }
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
