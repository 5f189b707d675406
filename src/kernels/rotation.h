// A random rotation in time dim log dim.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace varve::kernels {

// Values that come out of the rotation of `dim` values.
constexpr std::uint32_t rotated_dim(std::uint32_t dim) { return (dim + 63) / 64 * 64; }

// Spreads whatever a few dimensions hold evenly over all, so that the signs of what comes out say
// equally much each. Rounds of: random signs, a Hadamard transform of the first or the last 2^n
// values, and where 2^n is less than all, sums and differences of the two halves (Kac's walk). The
// construction of RaBitQ-Library, and of Ailon and Chazelle, SIAM J. Comput. 39 (2009). Immutable;
// thread-safe. The seed and what it makes of a vector are stored: never change them.
class Rotation {
 public:
  // `dim` from 1 to 4096.
  Rotation(std::uint32_t dim, std::uint64_t seed);

  std::uint32_t dim() const { return dim_; }
  // Of what comes out: dim, rounded up to a multiple of 64.
  std::uint32_t padded_dim() const { return padded_dim_; }
  std::uint64_t seed() const { return seed_; }
  std::size_t resident_bytes() const { return sizeof(*this) + flips_.size() * sizeof(flips_[0]); }

  // Inner products of what comes out are those of what goes in, but for rounding. The same bits on
  // every target. `in` has dim(), `out` padded_dim() values; they may not overlap.
  void apply(const float* in, float* out) const;

 private:
  std::uint32_t dim_, padded_dim_;
  std::uint64_t seed_;
  std::uint32_t window_;              // largest power of two up to padded_dim_
  std::uint32_t rounds_;              // two if the window is all
  std::vector<std::uint32_t> flips_;  // rounds_ * padded_dim_ words: 2^31 changes the sign, 0 not
};

}  // namespace varve::kernels
