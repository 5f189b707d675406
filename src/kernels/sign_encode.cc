#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/sign_codes.h"

namespace varve::kernels {
namespace {

constexpr std::size_t kGroupBytes = 16;

// Of the error in units of its spread: RaBitQ's choice. 1.2 loses a third of a point of recall.
constexpr double kSpread = 1.9;

// Rounds to nearest, ties to even; NaN does not occur.
std::uint16_t bf16_of(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

template <typename T>
void store(std::byte* at, std::size_t place, T value) {
  std::memcpy(at + place * sizeof(T), &value, sizeof(T));
}

struct SignSums {
  double of_sizes = 0;       // sum |r_j|, which is r . s
  double of_squares = 0;     // r . r
  double with_centroid = 0;  // c . s
};

}  // namespace

// With signs s, r . q is estimated by (s . q)(r . r)/(r . s), whose error has the spread
// |r||q| sqrt((1 - a^2) / a^2 / (dim - 1)), a = r . s / (|r| sqrt(dim)) (RaBitQ, theorem 3.2). The
// query is not centred, so c . s of the row is taken off where it is added.
void encode_signs(const float* rotated, const float* rotated_centroid, std::uint32_t padded_dim,
                  std::size_t place, std::byte* block) {
  SignSums sums;
  for (std::uint32_t j = 0; j < padded_dim; ++j) {
    const auto value = static_cast<double>(rotated[j]);
    const auto centre = static_cast<double>(rotated_centroid[j]);
    const bool is_set = !(value < 0);
    sums.of_sizes += std::abs(value);
    sums.of_squares += value * value;
    sums.with_centroid += is_set ? centre : -centre;
    const std::size_t byte = j / 4 * kGroupBytes + place % 16;
    const unsigned bit = j % 4 + (place < 16 ? 0 : 4);
    if (is_set) block[byte] |= std::byte{1} << bit;
  }
  const double dim = padded_dim;
  const double rescale = sums.of_sizes > 0 ? sums.of_squares / sums.of_sizes : 0;
  const double cosine2 =
      sums.of_squares > 0 ? sums.of_sizes * sums.of_sizes / (sums.of_squares * dim) : 1;
  const double spread = std::sqrt(std::max(0.0, 1 - cosine2) / cosine2 / (dim - 1));
  std::byte* const factors = block + std::size_t{padded_dim} * 4;
  // What rounding `rescale` to bf16 does to the estimate is taken back as far as it is known.
  const std::uint16_t rounded = bf16_of(rescale);
  const auto used =
      static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(rounded) << 16));
  store(factors, place, static_cast<float>(sums.of_squares + 2 * used * sums.with_centroid));
  store(factors + 4 * kSignBlockRows, place, rounded);
  store(factors + 6 * kSignBlockRows, place,
        bf16_of(2 * kSpread * spread * std::sqrt(sums.of_squares)));
}

}  // namespace varve::kernels
