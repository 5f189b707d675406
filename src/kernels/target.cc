#include "kernels/target.h"

#include <cstdlib>

#include "kernels/distance.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/target.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

const char* name_of_this() { return hwy::TargetName(HWY_TARGET); }

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(name_of_this);

struct NamedTarget {
  std::string_view name;
  std::int64_t bit = 0;
};

constexpr NamedTarget kNamed[] = {{"scalar", HWY_SCALAR},
                                  {"neon", HWY_NEON},
                                  {"sse4", HWY_SSE4},
                                  {"avx2", HWY_AVX2},
                                  {"avx3", HWY_AVX3}};

// What the processor has and the compiler made. Asked once, before use_target() narrows it.
std::int64_t available() {
  static const std::int64_t mask = (hwy::SupportedTargets() | HWY_SCALAR) & HWY_TARGETS;
  return mask;
}

[[maybe_unused]] const bool kObeyed = obey_environment();

}  // namespace

std::vector<std::string_view> supported_targets() {
  std::vector<std::string_view> names;
  for (const NamedTarget& target : kNamed) {
    if ((available() & target.bit) != 0) names.push_back(target.name);
  }
  return names;
}

bool use_target(std::string_view name) {
  for (const NamedTarget& target : kNamed) {
    if (target.name != name || (available() & target.bit) == 0) continue;
    hwy::SetSupportedTargetsForTest(target.bit);
    hwy::GetChosenTarget().Update(target.bit);
    return true;
  }
  return false;
}

bool obey_environment() {
  static const bool forced = [] {
    const char* name = std::getenv("VARVE_KERNELS_TARGET");
    return name != nullptr && use_target(name);
  }();
  return forced;
}

std::string_view active_target() { return HWY_DYNAMIC_DISPATCH(name_of_this)(); }

}  // namespace varve::kernels
#endif  // HWY_ONCE
