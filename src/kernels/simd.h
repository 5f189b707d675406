// How the module uses Highway. Include before any header of hwy/.
#pragma once

// All targets that the compiler can make, with the scalar one: it is the reference in tests and the
// fallback on old machines.
#define HWY_COMPILE_ALL_ATTAINABLE

// SSSE3 without SSE4 is too rare for its compile time. SVE vectors have no size at compile time, so
// they cannot stand in the accumulator arrays of the kernels; NEON serves those machines.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#include <hwy/base.h>
#include <hwy/targets.h>
