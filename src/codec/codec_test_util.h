// What the tests of this module share.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "codec/internal/simd.h"
#include "codec/lossless.h"

namespace varve::codec {

constexpr std::uint32_t kTestSeed = 20261124;

// Runs body(name) once per target that was compiled and that the processor has, the scalar
// reference first, and ends with the best one in use.
template <class Body>
void on_each_target(Body body) {
  static const std::int64_t available = (hwy::SupportedTargets() | HWY_SCALAR) & HWY_TARGETS;
  for (const std::int64_t target : {HWY_SCALAR, HWY_NEON, HWY_SSE4, HWY_AVX2, HWY_AVX3}) {
    if ((available & target) == 0) continue;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    body(target);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

using Words = std::vector<std::uint32_t>;

inline base::ByteSpan bytes_of(const Words& words) { return std::as_bytes(std::span(words)); }

inline std::string text_of(base::ByteSpan bytes) { return std::string(base::as_text(bytes)); }

template <class Make>
Words words_of(std::size_t count, Make make) {
  Words words(count);
  for (std::uint32_t& word : words) word = make();
  return words;
}

inline Words random_words(std::mt19937& random, std::size_t count) {
  return words_of(count, [&] { return static_cast<std::uint32_t>(random()); });
}

// As embeddings are: normal, of unit norm at 1536 dimensions, and one dimension that stands out.
inline Words normal_words(std::mt19937& random, std::size_t count) {
  std::normal_distribution<float> normal(0, 0.0255F);
  Words words = words_of(count, [&] { return std::bit_cast<std::uint32_t>(normal(random)); });
  if (count > 5) words[5] = std::bit_cast<std::uint32_t>(0.6F);
  return words;
}

inline Words bf16_words(std::mt19937& random, std::size_t count) {
  Words words = normal_words(random, count);
  for (std::uint32_t& word : words) word &= 0xffff0000U;
  return words;
}

// Halves of every kind: normal, below 2^-14, zeros of both signs, infinite, NaN of both kinds.
inline Words f16_words(std::mt19937& random, std::size_t count) {
  return words_of(count, [&] {
    const auto half = static_cast<std::uint32_t>(random() % 65536);
    const std::uint32_t sign = (half & 0x8000U) << 16;
    const std::uint32_t exponent = half >> 10 & 31U;
    const std::uint32_t mantissa = half & 0x3ffU;
    if (exponent == 31) return sign | 0x7f800000U | mantissa << 13;
    if (exponent != 0) return sign | (exponent + 112) << 23 | mantissa << 13;
    return sign | std::bit_cast<std::uint32_t>(std::ldexp(static_cast<float>(mantissa), -24));
  });
}

inline Words scaled_words(std::mt19937& random, std::size_t count, int lowest, int highest,
                          float scale, bool divide = false) {
  return words_of(count, [&] {
    const auto number =
        static_cast<float>(lowest + static_cast<int>(random() % (highest - lowest + 1)));
    return std::bit_cast<std::uint32_t>(divide ? number / scale : number * scale);
  });
}

inline Words periodic_words(std::mt19937& random, std::size_t count, std::size_t period) {
  Words words = random_words(random, count);
  for (std::size_t i = period; i < count; ++i) words[i] = words[i - period];
  return words;
}

// Bits that arithmetic would lose: NaNs with payloads, quiet and signalling, zeros of both signs,
// denormals, infinities.
inline Words odd_words(std::mt19937& random, std::size_t count) {
  return words_of(count, [&]() -> std::uint32_t {
    const std::uint32_t sign = random() % 2 == 0 ? 0 : 0x80000000U;
    const auto payload = static_cast<std::uint32_t>(random() & 0x7fffffU);
    switch (random() % 4) {
      case 0:
        return sign | 0x7f800000U | payload;
      case 1:
        return sign | payload;
      case 2:
        return sign;
      default:
        return sign | (random() % 2 == 0 ? 0x7f800000U : 0x3f800000U);
    }
  });
}

struct Shape {
  const char* name;
  Words words;
};

// One input of each kind, of `count` values.
inline std::vector<Shape> shapes(std::mt19937& random, std::size_t count) {
  return {{"random", random_words(random, count)},
          {"normal", normal_words(random, count)},
          {"bf16", bf16_words(random, count)},
          {"f16", f16_words(random, count)},
          {"int8", scaled_words(random, count, -127, 127, 0.00314159F)},
          {"int8 divided", scaled_words(random, count, -128, 127, 127.0F, true)},
          {"uint8", scaled_words(random, count, 0, 255, 1.0F)},
          {"uint8 scaled", scaled_words(random, count, 0, 255, 0.0123F)},
          {"constant", periodic_words(random, count, 1)},
          {"period of 16", periodic_words(random, count, 16)},
          {"period of 64", periodic_words(random, count, 64)},
          {"period of 65", periodic_words(random, count, 65)},
          {"odd", odd_words(random, count)},
          {"zeros", Words(count, 0)},
          {"minus zeros", Words(count, 0x80000000U)}};
}

}  // namespace varve::codec
