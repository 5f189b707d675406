#include "codec/internal/narrow_loops.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "codec/narrow_loops.cc"
// clang-format off
#include "codec/internal/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::codec::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using Ints = hn::RebindToSigned<Floats>;
using Halves = hn::Rebind<std::uint16_t, Floats>;
using Octets = hn::Rebind<std::uint8_t, Floats>;
using SignedOctets = hn::Rebind<std::int8_t, Floats>;
using WordVec = hn::Vec<Words>;
using FloatVec = hn::Vec<Floats>;
constexpr std::size_t kLanes = hn::MaxLanes(Floats());

// Vectors are loaded from bytes, which are aligned to nothing.
HWY_INLINE WordVec load_words(const std::uint8_t* from) {
  return hn::LoadU(Words(), reinterpret_cast<const std::uint32_t*>(from));
}
HWY_INLINE void store_words(WordVec words, std::uint8_t* to) {
  hn::StoreU(words, Words(), reinterpret_cast<std::uint32_t*>(to));
}
HWY_INLINE WordVec load_halves(const std::uint8_t* from) {
  return hn::PromoteTo(Words(), hn::LoadU(Halves(), reinterpret_cast<const std::uint16_t*>(from)));
}
// REQUIRES: each word is below 2^16.
HWY_INLINE void store_halves(WordVec words, std::uint8_t* to) {
  hn::StoreU(hn::DemoteTo(Halves(), hn::BitCast(Ints(), words)), Halves(),
             reinterpret_cast<std::uint16_t*>(to));
}
HWY_INLINE bool all_zero(WordVec words) {
  return hn::AllTrue(Words(), hn::Eq(words, hn::Zero(Words())));
}

// Calls step(in, out) for each kLanes elements of `in_bytes` and `out_bytes`; the last ones, if
// they do not fill a vector, through padded copies. Stops at the first false.
template <std::size_t in_bytes, std::size_t out_bytes, class Step>
HWY_INLINE bool each_vector(const std::uint8_t* in, std::size_t count, std::uint8_t* out,
                            Step step) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    if (!step(in + i * in_bytes, out + i * out_bytes)) return false;
  }
  if (i == count) return true;
  HWY_ALIGN std::uint8_t last_in[kLanes * in_bytes] = {};
  HWY_ALIGN std::uint8_t last_out[kLanes * out_bytes] = {};
  std::memcpy(last_in, in + i * in_bytes, (count - i) * in_bytes);
  const bool done = step(last_in, last_out);
  std::memcpy(out + i * out_bytes, last_out, (count - i) * out_bytes);
  return done;
}

bool narrow_to_bf16(const std::uint8_t* values, std::size_t count, std::uint8_t* out) {
  return each_vector<4, 2>(values, count, out, [](const std::uint8_t* in, std::uint8_t* to) {
    const auto bits = load_words(in);
    store_halves(hn::ShiftRight<16>(bits), to);
    return all_zero(hn::And(bits, hn::Set(Words(), 0xffffU)));
  });
}

void widen_from_bf16(const std::uint8_t* halves, std::size_t count, std::uint8_t* out) {
  each_vector<2, 4>(halves, count, out, [](const std::uint8_t* in, std::uint8_t* to) {
    store_words(hn::ShiftLeft<16>(load_halves(in)), to);
    return true;
  });
}

HWY_INLINE hn::Mask<Words> below(WordVec a, std::uint32_t b) {
  return hn::RebindMask(
      Words(), hn::Lt(hn::BitCast(Ints(), a), hn::Set(Ints(), static_cast<std::int32_t>(b))));
}

// By integers alone, so that signalling NaNs keep their bits. The distance of the biases is
// 112 = 127 - 15; infinity and NaN have 31 in place of 255. Numbers below 2^-14 are counts of
// 2^-24: the half of one as float32 with the exponent of 2^-14, less 2^-14, is exact.
HWY_INLINE WordVec widened(WordVec half) {
  const Words du;
  const auto sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(du, 0x8000U)));
  const auto size = hn::ShiftLeft<13>(hn::And(half, hn::Set(du, 0x7fffU)));
  const auto special = hn::Not(below(size, 0x7c00U << 13));
  const auto moved =
      hn::Add(size, hn::IfThenElse(special, hn::Set(du, 224U << 23), hn::Set(du, 112U << 23)));
  const auto two_to_minus_14 = hn::BitCast(Floats(), hn::Set(du, 113U << 23));
  const auto small =
      hn::Sub(hn::BitCast(Floats(), hn::Add(size, hn::Set(du, 113U << 23))), two_to_minus_14);
  const auto wide = hn::IfThenElse(below(size, 0x400U << 13), hn::BitCast(du, small), moved);
  return hn::Or(wide, sign);
}

// The half of each value that one holds, and a number below 2^16 for all others.
HWY_INLINE WordVec narrowed(WordVec bits) {
  const Words du;
  const auto sign = hn::ShiftLeft<15>(hn::ShiftRight<31>(bits));
  const auto size = hn::And(bits, hn::Set(du, 0x7fffffffU));
  const auto special = hn::Not(below(size, 255U << 23));
  const auto bias = hn::IfThenElse(special, hn::Set(du, 224U << 10), hn::Set(du, 112U << 10));
  const auto moved = hn::And(hn::Sub(hn::ShiftRight<13>(size), bias), hn::Set(du, 0x7fffU));
  // The last bit of a number of [0.5, 1) counts 2^-24.
  const auto half = hn::BitCast(Floats(), hn::Set(du, 126U << 23));
  const auto counted =
      hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(Floats(), size), half)), hn::Set(du, 126U << 23));
  return hn::Or(hn::IfThenElse(below(size, 113U << 23), counted, moved), sign);
}

bool narrow_to_f16(const std::uint8_t* values, std::size_t count, std::uint8_t* out) {
  return each_vector<4, 2>(values, count, out, [](const std::uint8_t* in, std::uint8_t* to) {
    const auto bits = load_words(in);
    const auto half = narrowed(bits);
    store_halves(half, to);
    return all_zero(hn::Xor(widened(half), bits));
  });
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
// The instruction makes signalling NaNs quiet: what may hold one goes the long way.
HWY_INLINE void widen_vector(const std::uint8_t* in, std::uint8_t* to) {
  const hn::Rebind<hwy::float16_t, Floats> dh;
  const Halves du;
  const auto bits = hn::LoadU(du, reinterpret_cast<const std::uint16_t*>(in));
  const auto infinite = hn::Set(du, 0x7c00U);
  if (HWY_UNLIKELY(!hn::AllFalse(du, hn::Eq(hn::And(bits, infinite), infinite)))) {
    return store_words(widened(load_halves(in)), to);
  }
  store_words(hn::BitCast(Words(), hn::PromoteTo(Floats(), hn::BitCast(dh, bits))), to);
}
#else
HWY_INLINE void widen_vector(const std::uint8_t* in, std::uint8_t* to) {
  store_words(widened(load_halves(in)), to);
}
#endif

void widen_from_f16(const std::uint8_t* halves, std::size_t count, std::uint8_t* out) {
  each_vector<2, 4>(halves, count, out, [](const std::uint8_t* in, std::uint8_t* to) {
    widen_vector(in, to);
    return true;
  });
}

HWY_INLINE FloatVec scaled(hn::Vec<Ints> numbers, const Scaling& scaling) {
  const auto wide = hn::ConvertTo(Floats(), numbers);
  const auto scale = hn::Set(Floats(), scaling.scale);
  return scaling.divide ? hn::Div(wide, scale) : hn::Mul(wide, scale);
}

bool values_to_bytes(const std::uint8_t* values, std::size_t count, const Scaling& scaling,
                     std::uint8_t* out) {
  return each_vector<4, 1>(values, count, out, [&](const std::uint8_t* in, std::uint8_t* to) {
    const Ints di;
    const auto bits = load_words(in);
    const auto value = hn::BitCast(Floats(), bits);
    const auto scale = hn::Set(Floats(), scaling.scale);
    const auto exact = scaling.divide ? hn::Mul(value, scale) : hn::Div(value, scale);
    const auto number = hn::NearestInt(exact);
    const auto changed = hn::Xor(hn::BitCast(Words(), scaled(number, scaling)), bits);
    const auto from_lowest =
        hn::Add(hn::BitCast(Words(), number), hn::Set(Words(), scaling.is_signed ? 128 : 0));
    const auto outside = hn::AndNot(hn::Set(Words(), 255), from_lowest);
    const auto byte = hn::And(number, hn::Set(di, 255));
    hn::StoreU(hn::DemoteTo(Octets(), byte), Octets(), to);
    return all_zero(hn::Or(changed, outside));
  });
}

std::uint32_t find_largest(const std::uint8_t* values, std::size_t count) {
  const Words du;
  const Ints di;
  auto largest = hn::Zero(di);
  auto all = hn::Zero(du);
  std::size_t i = 0;
  const auto take = [&](WordVec bits) {
    largest = hn::Max(largest, hn::BitCast(di, hn::And(bits, hn::Set(du, 0x7fffffffU))));
    all = hn::Or(all, bits);
  };
  for (; i + kLanes <= count; i += kLanes) take(load_words(values + 4 * i));
  HWY_ALIGN std::uint8_t last[4 * kLanes] = {};
  if (i < count) std::memcpy(last, values + 4 * i, 4 * (count - i));
  take(load_words(last));
  HWY_ALIGN std::int32_t sizes[kLanes];
  HWY_ALIGN std::uint32_t signs[kLanes];
  hn::Store(largest, di, sizes);
  hn::Store(all, du, signs);
  std::uint32_t found = 0;
  for (std::size_t k = 0; k < kLanes; ++k) {
    found = std::max(found & 0x7fffffffU, static_cast<std::uint32_t>(sizes[k])) |
            ((found | signs[k]) & 0x80000000U);
  }
  return found;
}

template <class Tag>
HWY_INLINE void bytes_to_values(const std::uint8_t* numbers, std::size_t count,
                                const Scaling& scaling, std::uint8_t* out) {
  each_vector<1, 4>(numbers, count, out, [&](const std::uint8_t* in, std::uint8_t* to) {
    const auto wide =
        hn::PromoteTo(Ints(), hn::LoadU(Tag(), reinterpret_cast<const hn::TFromD<Tag>*>(in)));
    store_words(hn::BitCast(Words(), scaled(wide, scaling)), to);
    return true;
  });
}

void values_from_bytes(const std::uint8_t* numbers, std::size_t count, const Scaling& scaling,
                       std::uint8_t* out) {
  if (scaling.is_signed) return bytes_to_values<SignedOctets>(numbers, count, scaling, out);
  bytes_to_values<Octets>(numbers, count, scaling, out);
}

}  // namespace varve::codec::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::codec {
namespace {

HWY_EXPORT(narrow_to_bf16);
HWY_EXPORT(narrow_to_f16);
HWY_EXPORT(widen_from_bf16);
HWY_EXPORT(widen_from_f16);
HWY_EXPORT(find_largest);
HWY_EXPORT(values_to_bytes);
HWY_EXPORT(values_from_bytes);

}  // namespace

bool narrow_bf16(const std::uint8_t* values, std::size_t count, std::uint8_t* out) {
  return HWY_DYNAMIC_DISPATCH(narrow_to_bf16)(values, count, out);
}
bool narrow_f16(const std::uint8_t* values, std::size_t count, std::uint8_t* out) {
  return HWY_DYNAMIC_DISPATCH(narrow_to_f16)(values, count, out);
}
void widen_bf16(const std::uint8_t* halves, std::size_t count, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(widen_from_bf16)(halves, count, out);
}
void widen_f16(const std::uint8_t* halves, std::size_t count, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(widen_from_f16)(halves, count, out);
}
std::uint32_t largest_size(const std::uint8_t* values, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(find_largest)(values, count);
}
bool to_bytes(const std::uint8_t* values, std::size_t count, const Scaling& scaling,
              std::uint8_t* out) {
  return HWY_DYNAMIC_DISPATCH(values_to_bytes)(values, count, scaling, out);
}
void from_bytes(const std::uint8_t* numbers, std::size_t count, const Scaling& scaling,
                std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(values_from_bytes)(numbers, count, scaling, out);
}

}  // namespace varve::codec
#endif  // HWY_ONCE
