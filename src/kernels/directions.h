// Directions of the rotated space along which rows of an index lie farthest from their centroids.
// An error of a code that lies across them hardly changes a distance, since queries differ from
// centroids along them too; one along them is stored beside the code (kernels/extra_codes.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace varve::kernels {

inline constexpr std::uint32_t kDirectionsMax = 128;
// Counts are multiples of it.
inline constexpr std::uint32_t kDirectionsStep = 16;
// Of each direction, in steps of its values: so sums of products with a vector of as many steps as
// kWholeMax (extra_scan.cc) a dimension fit into 32 bits.
inline constexpr std::int32_t kDirectionLength = 2048;

// Immutable; thread-safe.
class Directions {
 public:
  Directions() = default;
  // `values`: count * padded_dim, row-major, each row of is_length(). `padded_dim`: a multiple of
  // 64, up to 4096.
  Directions(std::uint32_t padded_dim, std::vector<std::int16_t> values);
  // The same from rows of length 1.
  static Directions from_units(std::uint32_t padded_dim, std::span<const float> units);
  // Within a 32nd of kDirectionLength.
  static bool is_length(std::span<const std::int16_t> direction);

  std::uint32_t count() const { return count_; }
  std::uint32_t padded_dim() const { return padded_dim_; }
  std::span<const std::int16_t> values() const { return values_; }
  std::size_t resident_bytes() const { return values_.capacity() * sizeof(std::int16_t); }

  // How far `rotated` (padded_dim values) reaches along each direction, to `along` (count()
  // values). The same bits on every target.
  void project(const float* rotated, float* along) const;
  // Inner products with a vector of whole numbers, whose length times kDirectionLength is below
  // 2^31 / 1.04. `out`: count() values.
  void multiply(const std::int16_t* vector, std::int32_t* out) const;

 private:
  std::uint32_t padded_dim_ = 0, count_ = 0;
  std::vector<std::int16_t> values_;
};

}  // namespace varve::kernels
