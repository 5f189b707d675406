// Rows of a cluster as codes: what sections A and C of a part hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/directions.h"
#include "kernels/extra_codes.h"
#include "kernels/rotation.h"
#include "kernels/rows.h"
#include "kernels/sign_codes.h"
#include "varve/types.h"

namespace varve::ann {

// Of fewer dimensions the bounds are so wide that a scan of the rows themselves is cheaper.
inline constexpr std::uint32_t kSignDimMin = 64;
// From here on a first step over half of the dimensions leaves out most blocks
// (docs/decisions/0028-codes-in-two-steps.md).
inline constexpr std::uint32_t kTwoStepsDimMin = 640;

// How the rows of one index are coded.
struct CodeConfig {
  std::uint32_t dim = 0;
  Metric metric = Metric::euclidean;
  std::uint64_t seed = 0;         // of the rotation
  std::uint32_t extra_words = 0;  // of each row in section C; 0: there is no section C
  // Of the errors in section C, of the rotated space; null or empty: none are stored.
  std::shared_ptr<const kernels::Directions> directions = nullptr;
};

// Immutable; thread-safe.
class CodeEncoder {
 public:
  explicit CodeEncoder(const CodeConfig& config);

  Metric metric() const { return metric_; }
  const kernels::Rotation& rotation() const { return rotation_; }
  const kernels::ExtraShape& extra_shape() const { return shape_; }
  const kernels::Directions& directions() const { return *directions_; }
  // Of the blocks of signs.
  kernels::SignSteps steps() const { return steps_; }
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
  kernels::SignSteps steps_;
  bool has_extra_;
  std::shared_ptr<const kernels::Directions> directions_;
  kernels::ExtraShape shape_;
};

}  // namespace varve::ann
