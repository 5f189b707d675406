#include "kernels/rotation.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rotation.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Every output is one sum or difference of two inputs, perhaps scaled. This file is compiled
// without contraction (src/CMakeLists.txt), so that no target rounds otherwise.

// Vectors that a pass through memory holds in registers, a power of two.
#if HWY_TARGET == HWY_AVX3
constexpr std::size_t kHeld = 16;
#else
constexpr std::size_t kHeld = 8;
#endif

HWY_INLINE FloatVec flipped(FloatVec v, const std::uint32_t* flips) {
  return hn::Xor(v, hn::BitCast(Floats(), hn::LoadU(Words(), flips)));
}

// All levels between kCount vectors.
template <std::size_t kCount, std::size_t kHalf = 1>
HWY_INLINE void levels(FloatVec* v) {
  if constexpr (kHalf < kCount) {
    VARVE_UNROLL for (std::size_t pair = 0; pair < kCount / 2; ++pair) {
      const std::size_t i = pair / kHalf * 2 * kHalf + pair % kHalf;
      const auto a = v[i], b = v[i + kHalf];
      v[i] = hn::Add(a, b);
      v[i + kHalf] = hn::Sub(a, b);
    }
    levels<kCount, 2 * kHalf>(v);
  }
}

#if HWY_TARGET != HWY_SCALAR
// v with lanes i and i ^ kHalf exchanged.
template <std::size_t kHalf>
HWY_INLINE FloatVec exchanged(FloatVec v) {
  const Floats d;
  if constexpr (kHalf == 1) return hn::Shuffle2301(v);
  if constexpr (kHalf == 2) return hn::Shuffle1032(v);
  if constexpr (kHalf == 4) return hn::SwapAdjacentBlocks(v);
  if constexpr (kHalf == 8) return hn::ConcatLowerUpper(d, v, v);
}

// Lanes without the bit get the sum, those with it the difference of the other and themselves. A
// product with 1 or -1 is exact, so that it may be fused.
template <std::size_t kHalf>
HWY_INLINE FloatVec narrow_level(FloatVec v) {
  const Floats d;
  const Words words;
  const auto has_bit = hn::Ne(hn::And(hn::Iota(words, 0), hn::Set(words, kHalf)), hn::Zero(words));
  const auto one = hn::Set(d, 1);
  const auto signs =
      hn::Xor(one, hn::BitCast(d, hn::IfThenElseZero(has_bit, hn::Set(words, 0x80000000U))));
  return hn::MulAdd(v, signs, exchanged<kHalf>(v));
}
#endif

// All levels within a vector.
HWY_INLINE FloatVec narrow_levels(FloatVec v) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kLanes > 1) v = narrow_level<1>(v);
  if constexpr (kLanes > 2) v = narrow_level<2>(v);
  if constexpr (kLanes > 4) v = narrow_level<4>(v);
  if constexpr (kLanes > 8) v = narrow_level<8>(v);
#endif
  return v;
}

// The first levels: those within vectors and between kCount of them.
template <std::size_t kCount>
HWY_INLINE void first_pass(const std::uint32_t* flips, std::size_t count, FloatVec scale,
                           float* values) {
  const Floats d;
  for (std::size_t begin = 0; begin < count; begin += kCount * kLanes) {
    FloatVec v[kCount];
    VARVE_UNROLL for (std::size_t i = 0; i < kCount; ++i) {
      const std::size_t at = begin + i * kLanes;
      v[i] = narrow_levels(flipped(hn::LoadU(d, values + at), flips + at));
    }
    levels<kCount>(v);
    VARVE_UNROLL for (std::size_t i = 0; i < kCount; ++i) {
      hn::StoreU(hn::Mul(v[i], scale), d, values + begin + i * kLanes);
    }
  }
}

// The levels between values half, 2 * half, ... kCount / 2 * half apart.
template <std::size_t kCount>
HWY_INLINE void wide_pass(std::size_t half, std::size_t count, FloatVec scale, float* values) {
  const Floats d;
  for (std::size_t begin = 0; begin < count; begin += kCount * half) {
    for (std::size_t at = begin; at < begin + half; at += kLanes) {
      FloatVec v[kCount];
      VARVE_UNROLL for (std::size_t i = 0; i < kCount; ++i) {
        v[i] = hn::LoadU(d, values + at + i * half);
      }
      levels<kCount>(v);
      VARVE_UNROLL for (std::size_t i = 0; i < kCount; ++i) {
        hn::StoreU(hn::Mul(v[i], scale), d, values + at + i * half);
      }
    }
  }
}

// In place; `count` is a power of two and at least 64. The last pass scales, so that lengths stay.
HWY_INLINE void hadamard(const std::uint32_t* flips, std::size_t count, float scale,
                         float* values) {
  const auto one = hn::Set(Floats(), 1), last = hn::Set(Floats(), scale);
  constexpr std::size_t kSmall = HWY_MIN(kHeld, 64 / kLanes);
  std::size_t half = kHeld * kLanes;
  if (count < half) {
    half = kSmall * kLanes;
    first_pass<kSmall>(flips, count, half == count ? last : one, values);
  } else {
    first_pass<kHeld>(flips, count, half == count ? last : one, values);
  }
  while (half < count) {
    const std::size_t left = count / half;
    const auto scaled = left <= 8 ? last : one;
    if (left >= 8) {
      wide_pass<8>(half, count, scaled, values);
      half *= 8;
    } else if (left == 4) {
      wide_pass<4>(half, count, scaled, values);
      half *= 4;
    } else {
      wide_pass<2>(half, count, scaled, values);
      half *= 2;
    }
  }
}

HWY_INLINE void flip(const std::uint32_t* flips, std::size_t count, float* values) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    hn::StoreU(flipped(hn::LoadU(Floats(), values + i), flips + i), Floats(), values + i);
  }
}

void rotate(const std::uint32_t* flips, std::size_t rounds, std::size_t count, std::size_t window,
            float scale, float* values) {
  const auto mixed = hn::Set(Floats(), 0.70710678118654752F);
  for (std::size_t round = 0; round < rounds; ++round, flips += count) {
    // The first or the last `window` values; the others are only flipped and mixed with them.
    const std::size_t begin = round % 2 == 0 ? 0 : count - window;
    const std::size_t other = round % 2 == 0 ? window : 0;
    hadamard(flips + begin, window, scale, values + begin);
    if (window == count) continue;
    flip(flips + other, count - window, values + other);
    wide_pass<2>(count / 2, count, mixed, values);
  }
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(rotate);

[[maybe_unused]] const bool kObeyed = obey_environment();

constexpr std::uint32_t kPadding = 64;

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): part of the format.
std::uint64_t next_word(std::uint64_t& state) {
  std::uint64_t word = state += 0x9E3779B97F4A7C15;
  word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9;
  word = (word ^ word >> 27) * 0x94D049BB133111EB;
  return word ^ word >> 31;
}

}  // namespace

Rotation::Rotation(std::uint32_t dim, std::uint64_t seed)
    : dim_(dim),
      padded_dim_((dim + kPadding - 1) / kPadding * kPadding),
      seed_(seed),
      window_(std::bit_floor(padded_dim_)),
      rounds_(window_ == padded_dim_ ? 2 : 4),
      flips_(std::size_t{rounds_} * padded_dim_) {
  std::uint64_t state = seed;
  for (std::size_t begin = 0; begin < flips_.size(); begin += 64) {
    std::uint64_t word = next_word(state);
    for (std::size_t i = begin; i < begin + 64; ++i, word >>= 1) {
      flips_[i] = static_cast<std::uint32_t>(word & 1) << 31;
    }
  }
}

void Rotation::apply(const float* in, float* out) const {
  std::copy_n(in, dim_, out);
  std::fill(out + dim_, out + padded_dim_, 0.0F);
  const float scale = 1 / std::sqrt(static_cast<float>(window_));
  HWY_DYNAMIC_DISPATCH(rotate)(flips_.data(), rounds_, padded_dim_, window_, scale, out);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
