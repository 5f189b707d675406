#include "cli/progress/eta.h"

#include <algorithm>
#include <cmath>

namespace varve::cli {
namespace {
// The recent rate forgets half of what it knows in about 3.5 seconds.
constexpr double kMemorySeconds = 5;
constexpr double kBound = 2;
}  // namespace

void Eta::add(double seconds, std::uint64_t done) {
  const double elapsed = seconds - last_seconds_;
  if (elapsed <= 0 || done < done_) return;
  const double recent = static_cast<double>(done - done_) / elapsed;
  const double cumulative = static_cast<double>(done) / seconds;
  const double share = 1 - std::exp(-elapsed / kMemorySeconds);
  smooth_ = last_seconds_ == 0 ? cumulative : smooth_ + share * (recent - smooth_);
  rate_ = std::clamp(smooth_, cumulative / kBound, cumulative * kBound);
  last_seconds_ = seconds;
  done_ = done;
}

std::optional<double> Eta::seconds_left(std::uint64_t total) const {
  if (rate_ <= 0 || total < done_) return std::nullopt;
  return static_cast<double>(total - done_) / rate_;
}

}  // namespace varve::cli
