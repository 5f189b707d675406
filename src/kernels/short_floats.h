// The upper bytes of a float32, as factors are stored: bf16 has two of them, f24 three.
#pragma once

#include <bit>
#include <cstdint>

namespace varve::kernels {

// Both round to nearest, ties to even; not for NaN.
inline std::uint16_t bf16_of(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
inline std::uint32_t f24_of(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return (bits + 0x7F + (bits >> 8 & 1)) >> 8;
}

inline float float_of_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
// The lowest 24 bits of `bits`.
inline float float_of_f24(std::uint32_t bits) { return std::bit_cast<float>(bits << 8); }

}  // namespace varve::kernels
