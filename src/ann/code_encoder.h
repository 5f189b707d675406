// Rows of a cluster as codes: what sections A and C of a part hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/extra_codes.h"
#include "kernels/rotation.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::ann {

// Of fewer dimensions the bounds are so wide that a scan of the rows themselves is cheaper.
inline constexpr std::uint32_t kSignDimMin = 64;

// Immutable; thread-safe.
class CodeEncoder {
 public:
  // Of one index: its dimension, metric, and what its manifest says of rotation and extra bits.
  CodeEncoder(std::uint32_t dim, Metric metric, std::uint64_t seed, std::uint32_t extra_words);

  const kernels::Rotation& rotation() const { return rotation_; }
  const kernels::ExtraShape& extra_shape() const { return shape_; }
  // Bytes of a row in section C; 0: there are no extra bits.
  std::size_t extra_row_bytes() const { return has_extra_ ? kernels::extra_row_bytes(shape_) : 0; }
  // Writes the blocks of the signs of `rows`, and their extra bits if there are any, relative to
  // `centroid` (dim values; of rows of unit length under cosine). `signs`: whole blocks for so many
  // rows; `extra`: extra_row_bytes() for each, 8-byte aligned. What was there is lost.
  void encode(const kernels::Rows& rows, std::span<const float> centroid,
              std::span<std::byte> signs, std::span<std::byte> extra) const;

 private:
  Metric metric_;
  kernels::Rotation rotation_;
  bool has_extra_;
  kernels::ExtraShape shape_;
};

}  // namespace varve::ann
