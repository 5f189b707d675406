// Which instruction set the kernels use.
#pragma once

#include <string_view>
#include <vector>

namespace varve::kernels {

// Names that use_target() takes on this machine: of scalar, sse4, avx2, avx3 (on ARM neon) those
// that were compiled and that the processor has, slowest first.
std::vector<std::string_view> supported_targets();

// Uses only the target of this name from now on, for the whole process; false, and nothing changes,
// if supported_targets() lacks it. For tests and benches: safe to call only while no kernel runs.
bool use_target(std::string_view name);

// Obeys VARVE_KERNELS_TARGET once per process; an unknown or unsupported name is ignored, so ask
// active_target() what is in use. Every source file that dispatches calls this in an initialiser,
// so that the choice stands before main().
bool obey_environment();

}  // namespace varve::kernels
