// Groups of 64 float32 values as 216 bytes: the loops behind Method::exponent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace varve::codec {

// A group stores each value rotated left by one bit, so that its exponent is a whole byte and the
// sign stands below the mantissa: three planes of one bit (8 bytes each) with the low bits of
// exponent - base, then three planes of bytes (64 bytes each), lowest byte first.
//
// In every plane, place 16b + 4j + k holds value 16j + 4b + k (b, j, k below 4). So vectors of 16,
// 32 and 64 bytes interleave planes into values, and back, without crossing their 16-byte blocks.
inline constexpr std::size_t kGroupValues = 64;
inline constexpr std::size_t kGroupRawBytes = kGroupValues * 4;
inline constexpr std::size_t kGroupBitPlaneBytes = kGroupValues / 8;
inline constexpr std::size_t kGroupBitPlanes = 3;
inline constexpr std::size_t kGroupBytePlanes = 3;
inline constexpr std::size_t kGroupPlanesAt = kGroupBitPlanes * kGroupBitPlaneBytes;
inline constexpr std::size_t kGroupBytes = kGroupPlanesAt + kGroupBytePlanes * kGroupValues;

// `raw` has groups * kGroupRawBytes bytes, `out` gets groups * kGroupBytes. An exponent outside of
// [base, base + 7] loses its upper bits. The same bytes on every target.
void pack_groups(const std::uint8_t* raw, std::size_t groups, std::uint8_t base, std::uint8_t* out);
void unpack_groups(const std::uint8_t* packed, std::size_t groups, std::uint8_t base,
                   std::uint8_t* out);

// The first block of kBlockValues values, at `block` or behind it, that has an exponent outside of
// [base, base + 7]; `blocks` if none has.
inline constexpr std::size_t kBlockValues = 16;
std::size_t next_block_outside(const std::uint8_t* raw, std::size_t block, std::size_t blocks,
                               std::uint8_t base);

}  // namespace varve::codec
