// Normal draws that are the same wherever the seed is.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "base/random.h"

namespace varve::cli::drift_bench {

// Seeds of streams that share nothing: of a stream `number` of the stream `seed`.
inline std::uint64_t seed_of(std::uint64_t seed, std::uint64_t number) {
  std::uint64_t z = (seed ^ std::uint64_t{0x6A09E667F3BCC909}) + number * 0xD1342543DE82EF95;
  z = (z ^ (z >> 33)) * 0xFF51AFD7ED558CCD;
  z = (z ^ (z >> 33)) * 0xC4CEB9FE1A85EC53;
  return z ^ (z >> 33);
}

class NormalDraws {
 public:
  explicit NormalDraws(std::uint64_t seed) : random_(seed) {}

  // Mean 0, deviation 1; two at a time, after Box and Muller.
  double next() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2 * std::log(1 - random_.unit()));
    const double angle = 2 * std::numbers::pi * random_.unit();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }
  // Uniform in [0, 1).
  double unit() { return random_.unit(); }

 private:
  base::Random random_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace varve::cli::drift_bench
