// How the module uses Highway. Include before any header of hwy/.
#pragma once

// The same choice as in kernels/simd.h, which codec may not include: the function tables of both
// modules answer to one chosen target, so VARVE_KERNELS_TARGET holds for both.
#define HWY_COMPILE_ALL_ATTAINABLE
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#include <hwy/base.h>
#include <hwy/targets.h>
