// Keys as people ask for them: few often, most hardly ever.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

namespace varve::cli::cache_bench {

// Number i, from 0, is drawn with a weight of (i + 1)^-exponent.
class Zipf {
 public:
  Zipf(std::size_t keys, double exponent, std::uint64_t seed) : random_(seed) {
    double sum = 0;
    for (std::size_t i = 0; i < keys; ++i) {
      sum += std::pow(static_cast<double>(i + 1), -exponent);
      upto_.push_back(sum);
    }
  }
  std::size_t next() {
    const double drawn = std::uniform_real_distribution<double>(0, upto_.back())(random_);
    const auto found = std::upper_bound(upto_.begin(), upto_.end(), drawn);
    return std::min(static_cast<std::size_t>(found - upto_.begin()), upto_.size() - 1);
  }
  // Share of the draws that the first keys get: the most that a tier of so many entries can have.
  double share_of_first(std::size_t keys) const {
    return keys == 0 ? 0 : upto_[std::min(keys, upto_.size()) - 1] / upto_.back();
  }

 private:
  std::vector<double> upto_;
  std::mt19937_64 random_;
};

}  // namespace varve::cli::cache_bench
