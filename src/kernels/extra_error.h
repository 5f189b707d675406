// What encoding and estimating have to agree on about the error of a code of extra bits.
#pragma once

#include <cstdint>

#include "kernels/short_floats.h"

namespace varve::kernels {

// The bound of the error is so many spreads of it (RaBitQ's choice).
inline constexpr double kExtraSpread = 1.9;

// Along a direction the error is stored in 16 steps of so many spreads, which is where the uniform
// quantiser of a normal distribution has them (Max, IRE Trans. Inf. Theory 6 (1960)).
inline constexpr double kErrorStep = 43.0 / 128;
// Middle of step n, in steps: n less this.
inline constexpr double kErrorMiddle = 7.5;

// The width of a step, by the bound that is stored.
inline double error_step(std::uint16_t bound) {
  return static_cast<double>(float_of_bf16(bound)) / (2 * kExtraSpread) * kErrorStep;
}

}  // namespace varve::kernels
