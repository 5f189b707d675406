#include "codec/internal/exponent_groups.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/exponent_groups.cc"
// clang-format off
#include "codec/internal/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::codec::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

// The reference: one value after the other, straight from the description in the header.
constexpr std::size_t value_at(std::size_t place) {
  return (place & 3U) | (place >> 2 & 3U) << 4 | (place >> 4 & 3U) << 2;
}

void pack_all(const std::uint8_t* raw, std::size_t groups, std::uint8_t base, std::uint8_t* out) {
  for (; groups > 0; --groups, raw += kGroupRawBytes, out += kGroupBytes) {
    std::memset(out, 0, kGroupPlanesAt);
    for (std::size_t place = 0; place < kGroupValues; ++place) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, raw + 4 * value_at(place), 4);
      bits = bits << 1 | bits >> 31;
      const std::uint32_t code = (bits >> 24) - base;
      for (std::size_t plane = 0; plane < 3; ++plane) {
        const std::uint32_t bit = (code >> plane & 1U) << place % 8;
        std::uint8_t& byte = out[plane * kGroupBitPlaneBytes + place / 8];
        byte = static_cast<std::uint8_t>(byte | bit);
        out[kGroupPlanesAt + plane * kGroupValues + place] =
            static_cast<std::uint8_t>(bits >> 8 * plane);
      }
    }
  }
}

void unpack_all(const std::uint8_t* packed, std::size_t groups, std::uint8_t base,
                std::uint8_t* out) {
  for (; groups > 0; --groups, packed += kGroupBytes, out += kGroupRawBytes) {
    for (std::size_t place = 0; place < kGroupValues; ++place) {
      std::uint32_t code = 0;
      std::uint32_t bits = 0;
      for (std::size_t plane = 0; plane < 3; ++plane) {
        const std::uint32_t byte = packed[plane * kGroupBitPlaneBytes + place / 8];
        code |= (byte >> place % 8 & 1U) << plane;
        const std::uint32_t part = packed[kGroupPlanesAt + plane * kGroupValues + place];
        bits |= part << 8 * plane;
      }
      bits |= (base + code) << 24;
      bits = bits >> 1 | bits << 31;
      std::memcpy(out + 4 * value_at(place), &bits, 4);
    }
  }
}

#else

using Bytes8 = hn::CappedTag<std::uint8_t, kGroupValues>;
using Bytes16 = hn::RepartitionToWide<Bytes8>;
using Bytes32 = hn::RepartitionToWide<Bytes16>;
using Bytes64 = hn::RepartitionToWide<Bytes32>;
// Of the 64 values of a group, a vector takes these many of each plane.
constexpr std::size_t kPart = hn::MaxLanes(Bytes8());
constexpr std::size_t kPartBits = kPart / 8;

HWY_INLINE hn::Vec<Bytes8> rotated_left(const std::uint8_t* values) {
  const auto bits = hn::BitCast(Bytes32(), hn::LoadU(Bytes8(), values));
  return hn::BitCast(Bytes8(), hn::RotateRight<31>(bits));
}

// Each four values of a block as four bytes of every plane.
HWY_INLINE hn::Vec<Bytes32> by_plane(hn::Vec<Bytes8> values) {
  HWY_ALIGN static constexpr std::uint8_t kOrder[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                        2, 6, 10, 14, 3, 7, 11, 15};
  const auto order = hn::LoadDup128(Bytes8(), kOrder);
  return hn::BitCast(Bytes32(), hn::TableLookupBytes(values, order));
}

HWY_INLINE void store_bits(hn::Vec<Bytes8> codes, std::uint8_t bit, std::uint8_t* out) {
  std::uint8_t mask[kGroupBitPlaneBytes] = {};
  hn::StoreMaskBits(Bytes8(), hn::TestBit(codes, hn::Set(Bytes8(), bit)), mask);
  std::memcpy(out, mask, kPartBits);
}

HWY_INLINE void pack_part(const std::uint8_t* raw, std::uint8_t base, std::uint8_t* bits,
                          std::uint8_t* bytes) {
  const Bytes32 d32;
  const Bytes64 d64;
  const Bytes8 d8;
  const auto w0 = by_plane(rotated_left(raw));
  const auto w1 = by_plane(rotated_left(raw + 64));
  const auto w2 = by_plane(rotated_left(raw + 128));
  const auto w3 = by_plane(rotated_left(raw + 192));
  const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d32, w0, w1));
  const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d32, w2, w3));
  const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d32, w0, w1));
  const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d32, w2, w3));
  hn::StoreU(hn::BitCast(d8, hn::InterleaveLower(d64, low01, low23)), d8, bytes);
  hn::StoreU(hn::BitCast(d8, hn::InterleaveUpper(d64, low01, low23)), d8, bytes + kGroupValues);
  hn::StoreU(hn::BitCast(d8, hn::InterleaveLower(d64, high01, high23)), d8,
             bytes + 2 * kGroupValues);
  const auto exponents = hn::BitCast(d8, hn::InterleaveUpper(d64, high01, high23));
  const auto codes = hn::Sub(exponents, hn::Set(d8, base));
  store_bits(codes, 1, bits);
  store_bits(codes, 2, bits + kGroupBitPlaneBytes);
  store_bits(codes, 4, bits + 2 * kGroupBitPlaneBytes);
}

void pack_all(const std::uint8_t* raw, std::size_t groups, std::uint8_t base, std::uint8_t* out) {
  for (; groups > 0; --groups, raw += kGroupRawBytes, out += kGroupBytes) {
    for (std::size_t part = 0; part < kGroupValues; part += kPart) {
      pack_part(raw + part, base, out + part / 8, out + kGroupPlanesAt + part);
    }
  }
}

// `bit` in the lanes whose bit of the plane is set.
HWY_INLINE hn::Vec<Bytes8> plane_of(const std::uint8_t* bits, std::uint8_t bit) {
  // LoadMaskBits may read eight bytes: the planes of bytes stand behind those of bits.
  return hn::IfThenElseZero(hn::LoadMaskBits(Bytes8(), bits), hn::Set(Bytes8(), bit));
}

HWY_INLINE void store_rotated(hn::Vec<Bytes16> values, std::uint8_t* out) {
  const auto bits = hn::RotateRight<1>(hn::BitCast(Bytes32(), values));
  hn::StoreU(hn::BitCast(Bytes8(), bits), Bytes8(), out);
}

HWY_INLINE void unpack_part(const std::uint8_t* bits, const std::uint8_t* bytes, std::uint8_t base,
                            std::uint8_t* out) {
  const Bytes8 d8;
  const Bytes16 d16;
  const auto codes = hn::Or(hn::Or(plane_of(bits, 1), plane_of(bits + kGroupBitPlaneBytes, 2)),
                            plane_of(bits + 2 * kGroupBitPlaneBytes, 4));
  const auto exponents = hn::Add(codes, hn::Set(d8, base));
  const auto b0 = hn::LoadU(d8, bytes);
  const auto b1 = hn::LoadU(d8, bytes + kGroupValues);
  const auto b2 = hn::LoadU(d8, bytes + 2 * kGroupValues);
  const auto low_front = hn::BitCast(d16, hn::InterleaveLower(d8, b0, b1));
  const auto low_back = hn::BitCast(d16, hn::InterleaveUpper(d8, b0, b1));
  const auto high_front = hn::BitCast(d16, hn::InterleaveLower(d8, b2, exponents));
  const auto high_back = hn::BitCast(d16, hn::InterleaveUpper(d8, b2, exponents));
  store_rotated(hn::InterleaveLower(d16, low_front, high_front), out);
  store_rotated(hn::InterleaveUpper(d16, low_front, high_front), out + 64);
  store_rotated(hn::InterleaveLower(d16, low_back, high_back), out + 128);
  store_rotated(hn::InterleaveUpper(d16, low_back, high_back), out + 192);
}

void unpack_all(const std::uint8_t* packed, std::size_t groups, std::uint8_t base,
                std::uint8_t* out) {
  for (; groups > 0; --groups, packed += kGroupBytes, out += kGroupRawBytes) {
    for (std::size_t part = 0; part < kGroupValues; part += kPart) {
      unpack_part(packed + part / 8, packed + kGroupPlanesAt + part, base, out + part);
    }
  }
}

#endif

using Words = hn::CappedTag<std::uint32_t, kBlockValues>;

std::size_t find_outside(const std::uint8_t* raw, std::size_t block, std::size_t blocks,
                         std::uint8_t base) {
  const Words d;
  for (; block < blocks; ++block) {
    const auto* values = reinterpret_cast<const std::uint32_t*>(raw + block * kBlockValues * 4);
    auto any = hn::Zero(d);
    for (std::size_t i = 0; i < kBlockValues; i += hn::MaxLanes(d)) {
      const auto exponents = hn::And(hn::ShiftRight<23>(hn::LoadU(d, values + i)), hn::Set(d, 255));
      const auto codes = hn::Sub(exponents, hn::Set(d, base));
      any = hn::Or(any, hn::AndNot(hn::Set(d, 7), codes));
    }
    if (!hn::AllTrue(d, hn::Eq(any, hn::Zero(d)))) return block;
  }
  return blocks;
}

}  // namespace varve::codec::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::codec {
namespace {

HWY_EXPORT(pack_all);
HWY_EXPORT(unpack_all);
HWY_EXPORT(find_outside);

}  // namespace

void pack_groups(const std::uint8_t* raw, std::size_t groups, std::uint8_t base,
                 std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(pack_all)(raw, groups, base, out);
}

void unpack_groups(const std::uint8_t* packed, std::size_t groups, std::uint8_t base,
                   std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(unpack_all)(packed, groups, base, out);
}

std::size_t next_block_outside(const std::uint8_t* raw, std::size_t block, std::size_t blocks,
                               std::uint8_t base) {
  return HWY_DYNAMIC_DISPATCH(find_outside)(raw, block, blocks, base);
}

}  // namespace varve::codec
#endif  // HWY_ONCE
