#include "varve/cache/policy.h"

#include <array>
#include <string>

#include "base/result.h"
#include "cache/policy/forecast.h"
#include "cache/policy/policies.h"

namespace varve::cache {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"s3-fifo", "sieve", "w-tinylfu",
                                                    "lru",     "lfu",   "fifo"};

}  // namespace

std::span<const std::string_view> policy_names() { return kNames; }

Result<std::unique_ptr<EvictionPolicy>> make_policy(std::string_view name, std::uint64_t seed) {
  if (name.ends_with(kForecastSuffix)) {
    VARVE_TRY(auto inner, make_policy(name.substr(0, name.size() - kForecastSuffix.size()), seed));
    return admit_by_forecast(std::move(inner));
  }
  if (name == "s3-fifo") return make_s3_fifo();
  if (name == "sieve") return make_sieve();
  if (name == "w-tinylfu") return make_w_tinylfu();
  if (name == "lru") return make_lru();
  if (name == "lfu") return make_lfu(seed);
  if (name == "fifo") return make_fifo();
  std::string known;
  for (const std::string_view each : kNames)
    known += (known.empty() ? "" : ", ") + std::string(each);
  return fail(ErrorKind::invalid, "policy '" + std::string(name) + "' does not exist",
              known + "; each also with " + std::string(kForecastSuffix));
}

}  // namespace varve::cache
