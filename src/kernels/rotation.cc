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

// Every output of a pass is one sum or difference of two inputs, perhaps scaled, and each pass goes
// through memory: no target and no compiler can round otherwise.

HWY_INLINE void flip(const std::uint32_t* flips, std::size_t count, float* values) {
  const Floats d;
  for (std::size_t i = 0; i < count; i += kLanes) {
    const auto signs = hn::BitCast(d, hn::LoadU(Words(), flips + i));
    hn::StoreU(hn::Xor(hn::LoadU(d, values + i), signs), d, values + i);
  }
}

// One level whose pairs lie at least a vector apart.
HWY_INLINE void wide_level(std::size_t half, std::size_t count, float* values) {
  const Floats d;
  for (std::size_t begin = 0; begin < count; begin += 2 * half) {
    for (std::size_t i = begin; i < begin + half; i += kLanes) {
      const auto a = hn::LoadU(d, values + i), b = hn::LoadU(d, values + i + half);
      hn::StoreU(hn::Add(a, b), d, values + i);
      hn::StoreU(hn::Sub(a, b), d, values + i + half);
    }
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

// Lanes without the bit get the sum, those with it the difference of the other and themselves.
template <std::size_t kHalf>
HWY_INLINE FloatVec narrow_level(FloatVec v) {
  const Floats d;
  const Words words;
  const auto has_bit = hn::Ne(hn::And(hn::Iota(words, 0), hn::Set(words, kHalf)), hn::Zero(words));
  const auto signs = hn::IfThenElseZero(has_bit, hn::Set(words, 0x80000000U));
  return hn::Add(exchanged<kHalf>(v), hn::Xor(v, hn::BitCast(d, signs)));
}

// All levels within a vector.
HWY_INLINE FloatVec narrow_levels(FloatVec v) {
  if constexpr (kLanes > 1) v = narrow_level<1>(v);
  if constexpr (kLanes > 2) v = narrow_level<2>(v);
  if constexpr (kLanes > 4) v = narrow_level<4>(v);
  if constexpr (kLanes > 8) v = narrow_level<8>(v);
  return v;
}
#endif

// In place; `count` is a power of two and at least 64. Scaled, so that lengths stay.
HWY_INLINE void hadamard(std::size_t count, float scale, float* values) {
  const Floats d;
#if HWY_TARGET == HWY_SCALAR
  std::size_t half = 1;
#else
  for (std::size_t i = 0; i < count; i += kLanes) {
    hn::StoreU(narrow_levels(hn::LoadU(d, values + i)), d, values + i);
  }
  std::size_t half = kLanes;
#endif
  for (; half < count; half *= 2) wide_level(half, count, values);
  for (std::size_t i = 0; i < count; i += kLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, values + i), hn::Set(d, scale)), d, values + i);
  }
}

HWY_INLINE void mix_halves(std::size_t count, float* values) {
  const Floats d;
  const auto scale = hn::Set(d, 0.70710678118654752F);
  wide_level(count / 2, count, values);
  for (std::size_t i = 0; i < count; i += kLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, values + i), scale), d, values + i);
  }
}

void rotate(const std::uint32_t* flips, std::size_t rounds, std::size_t count, std::size_t window,
            float scale, float* values) {
  for (std::size_t round = 0; round < rounds; ++round) {
    flip(flips + round * count, count, values);
    hadamard(window, scale, round % 2 == 0 ? values : values + (count - window));
    if (window < count) mix_halves(count, values);
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
