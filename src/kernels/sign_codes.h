// One bit a dimension: the signs of a rotated row about the centroid of its cluster, with a few
// numbers that turn them into an estimate of a distance and a bound of its error (RaBitQ: Gao and
// Long, SIGMOD 2024). Rows stand in blocks of 32, so that byte shuffles look four dimensions of all
// of them up at once (Andre, Kermarrec and Le Scouarnec, VLDB 2015).
//
// A block is padded_dim / 4 groups of 16 bytes: byte i of a group holds four dimensions of row i in
// its low half and of row i + 16 in its high half, bit j set where dimension 4 * group + j is not
// below 0. Then 32 float32 `add`, 32 bf16 `rescale`, 32 bf16 `error`. The bytes are stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace varve::kernels {

inline constexpr std::size_t kSignBlockRows = 32;

// `padded_dim`: a multiple of 64, up to 4096.
constexpr std::size_t sign_block_bytes(std::uint32_t padded_dim) {
  return std::size_t{padded_dim} * 4 + kSignBlockRows * 8;
}

// Puts a row into place `place` of `block`, which was zeroed before its first row. `rotated` is the
// rotated difference of row and centroid, `rotated_centroid` what its name says; padded_dim values
// each. A row that equals its centroid is no special case.
void encode_signs(const float* rotated, const float* rotated_centroid, std::uint32_t padded_dim,
                  std::size_t place, std::byte* block);

// What one query needs to estimate distances to rows of any cluster. One thread; kept from query to
// query for its memory.
class SignTable {
 public:
  // `rotated`: the rotated query, padded_dim values.
  void set(const float* rotated, std::uint32_t padded_dim);

  std::uint32_t padded_dim() const { return padded_dim_; }
  const std::uint8_t* entries() const { return entries_.data(); }  // 16 a group
  // sum_j q_j s_j = base() + step() * (sum of entries), within step() / 2 a group.
  float base() const { return base_; }
  float step() const { return step_; }

 private:
  std::uint32_t padded_dim_ = 0;
  float base_ = 0, step_ = 0;
  std::vector<std::uint8_t> entries_;
};

// A row whose distance may be at most the limit.
struct SignHit {
  float lower;     // of the squared distance, but for a few in a thousand
  float estimate;  // of the squared distance
  std::uint32_t row;
};

// Looks at `rows` rows in the blocks from `blocks` on, which is 64-byte aligned, and writes those
// with lower <= limit to `hits`, in order; there must be room for all. Returns how many.
// `to_centroid`: the squared distance from the query to the centroid.
std::size_t scan_signs(const SignTable& table, const std::byte* blocks, std::size_t rows,
                       float to_centroid, float limit, SignHit* hits);

}  // namespace varve::kernels
