// The upper half of a float32, as factors are stored.
#pragma once

#include <bit>
#include <cstdint>

namespace varve::kernels {

// Rounds to nearest, ties to even; not for NaN.
inline std::uint16_t bf16_of(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

inline float float_of_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace varve::kernels
