// More bits of a rotated row beside its signs: a distance from codes alone, without the row
// (extended RaBitQ: Gao et al., SIGMOD 2025). The sign and the extra bits of a dimension are one
// number on a grid whose width is chosen for each row, so that the grid point lies in the direction
// of the row as nearly as it can.
//
// `bits` for each dimension, and one more for the first `wider_dims`: so any size between two whole
// numbers of bits can be had. With b = bits, the size of dimension j is m in [0, 2^b), the lower
// end of its step; where the sign is not set, 2^b - 1 - m is stored in its place, so that sign and
// bits together count steps from below. A row is
//
//   planes of 4, 2 and 1 of the b bits (those that b is the sum of), the highest bits first;
//   a plane of 1 bit for the first wider_dims: the lower or the upper half of the step;
//   a plane of 4 bits for each direction: the error of the grid along it, in 16 steps;
//   f24 add, f24 rescale, bf16 error.
//
// A plane of n dimensions, p bits each, is W = n p / 16 words of 16 bits: bits [k p, k p + p) of
// word w belong to dimension k W + w. The bytes are stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/directions.h"

namespace varve::kernels {

struct ExtraShape {
  std::uint32_t padded_dim = 0;  // a multiple of 64, up to 4096
  std::uint32_t bits = 0;        // 1 to 7
  std::uint32_t wider_dims = 0;  // a multiple of 64, up to padded_dim; 0 if bits is 7
  std::uint32_t directions = 0;  // a multiple of kDirectionsStep, up to kDirectionsMax
};

inline constexpr std::size_t kExtraFactorBytes = 8;

// A row is so many words of 64 bits, then its factors. Beside the number of directions, a shape and
// its words are each other's.
constexpr std::uint32_t extra_words(const ExtraShape& shape) {
  return (shape.padded_dim * shape.bits + shape.wider_dims + shape.directions * 4) / 64;
}
constexpr ExtraShape extra_shape(std::uint32_t padded_dim, std::uint32_t words,
                                 std::uint32_t directions) {
  const std::uint32_t words_a_bit = padded_dim / 64;
  const std::uint32_t grid_words = words - directions * 4 / 64;
  return {padded_dim, grid_words / words_a_bit, grid_words % words_a_bit * 64, directions};
}
constexpr std::size_t extra_row_bytes(const ExtraShape& shape) {
  return std::size_t{extra_words(shape)} * 8 + kExtraFactorBytes;
}

// Of one cluster.
struct ExtraCentroid {
  const float* rotated = nullptr;  // padded_dim values
  const float* along = nullptr;    // as Directions::project() has it of `rotated`
};

// Writes extra_row_bytes() to `out`, which is 8-byte aligned. `rotated` as encode_signs() takes it,
// whose signs these bits belong to; `directions` as many as the shape says. The same bytes on every
// target. What overflows float32 has factors that are not finite.
void encode_extra(const float* rotated, const ExtraCentroid& centroid, const ExtraShape& shape,
                  const Directions& directions, std::byte* out);

// Of a squared distance; `lower` is below it but for a few in a hundred, fewer with directions.
struct ExtraEstimate {
  float lower;
  float estimate;

  float upper() const { return estimate + (estimate - lower); }
};

// What one query needs to estimate distances to rows of any cluster. One thread; kept from query to
// query for its memory.
class ExtraQuery {
 public:
  // `rotated`: the rotated query, padded_dim values; `directions` as many as the shape says.
  void set(const float* rotated, const ExtraShape& shape, const Directions& directions);

  // Of the row at `place` of the sign block `block` whose extra bits are at `extra`.
  // `to_centroid`: the squared distance from the query to the centroid. What overflows is minus
  // infinity.
  ExtraEstimate estimate(const std::byte* block, std::size_t place, const std::byte* extra,
                         float to_centroid) const;

 private:
  void set_signs();
  void set_along(const Directions& directions);

  ExtraShape shape_;
  float step_ = 0;                   // of whole_
  std::int64_t base_ = 0;            // the sum over j of whole_[j] times the least grid point
  std::vector<std::int16_t> whole_;  // the query in steps
  std::vector<std::int16_t>
      of_signs_;          // 16 for each 4 dimensions: the sum of those whose bit is set
  float along_step_ = 0;  // of along_, in steps of the error
  std::int64_t along_base_ = 0;
  std::vector<std::int16_t> along_;  // the query along each direction, in steps
  std::vector<std::int32_t> products_;
};

}  // namespace varve::kernels
