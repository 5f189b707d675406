// How long the rest will take.
#pragma once

#include <cstdint>
#include <optional>

namespace varve::cli {

// A rate that follows the last seconds but stays within a factor of two of the rate since the
// start, so that one slow or fast moment does not make the estimate jump.
class Eta {
 public:
  // `seconds` since the start of the phase; neither goes back.
  void add(double seconds, std::uint64_t done);
  double rate() const { return rate_; }  // per second, 0 while unknown
  std::optional<double> seconds_left(std::uint64_t total) const;

 private:
  double last_seconds_ = 0;
  std::uint64_t done_ = 0;
  double smooth_ = 0;
  double rate_ = 0;
};

}  // namespace varve::cli
