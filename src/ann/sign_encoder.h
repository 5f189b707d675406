// Rows of a cluster as sign codes: what section A of a part holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/rotation.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::ann {

// Of fewer dimensions the bounds are so wide that a scan of the rows themselves is cheaper.
inline constexpr std::uint32_t kSignDimMin = 64;

// Immutable; thread-safe.
class SignEncoder {
 public:
  // Of one index: its dimension, metric, and the seed of its manifest.
  SignEncoder(std::uint32_t dim, Metric metric, std::uint64_t seed);

  const kernels::Rotation& rotation() const { return rotation_; }
  // Writes the blocks of `rows` relative to `centroid` (dim values; of rows of unit length under
  // cosine). `out`: whole blocks for so many rows; what was there is lost.
  void encode(const kernels::Rows& rows, std::span<const float> centroid,
              std::span<std::byte> out) const;

 private:
  Metric metric_;
  kernels::Rotation rotation_;
};

}  // namespace varve::ann
