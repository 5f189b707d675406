#include "kernels/rows.h"

#include <cstring>

#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rows.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

using WordVec = hn::Vec<Words>;

// Each check gives, per lane, 0 in all bits where the type holds the value bit for bit.

// Integers of [lowest, lowest + 255]. The way back from int32 gives +0.0 and never NaN, so the bits
// of -0.0, NaN and fractions differ.
template <int lowest>
struct IsByte {
  static HWY_INLINE WordVec misfit(FloatVec values) {
    const Ints di;
    const Words du;
    const auto whole = hn::ConvertTo(di, values);
    const auto back = hn::BitCast(du, hn::ConvertTo(Floats(), whole));
    const auto changed = hn::Xor(back, hn::BitCast(du, values));
    const auto from_lowest = hn::BitCast(du, hn::Sub(whole, hn::Set(di, lowest)));
    return hn::Or(changed, hn::AndNot(hn::Set(du, 255), from_lowest));
  }
};

struct IsBf16 {
  static HWY_INLINE WordVec misfit(FloatVec values) {
    return hn::And(hn::BitCast(Words(), values), hn::Set(Words(), 0xffffU));
  }
};

// Decided on the float32 bits alone, so that all targets agree. A half has 10 bits of mantissa, so
// 13 bits must be 0; its numbers are 0, those of [2^-14, 2^16), infinity, the quiet NaN (a
// signalling one would come back quiet) and the multiples of 2^-24 below 2^-14.
struct IsF16 {
  static HWY_INLINE WordVec misfit(FloatVec values) {
    const Words du;
    const Ints di;
    const auto size = hn::And(hn::BitCast(du, values), hn::Set(du, 0x7fffffffU));
    const auto signed_size = hn::BitCast(di, size);
    const auto low = hn::And(size, hn::Set(du, 0x1fffU));

    const auto small = hn::Lt(signed_size, hn::Set(di, 0x38800000));
    const auto scaled =
        hn::Mul(hn::BitCast(Floats(), size), hn::BitCast(Floats(), hn::Set(du, 0x4b800000U)));
    const auto steps =
        hn::ConvertTo(di, hn::IfThenElseZero(hn::RebindMask(Floats(), small), scaled));
    const auto changed =
        hn::Xor(hn::BitCast(du, hn::ConvertTo(Floats(), steps)), hn::BitCast(du, scaled));

    const auto too_large = hn::And(hn::Gt(signed_size, hn::Set(di, 0x477fffff)),
                                   hn::Lt(signed_size, hn::Set(di, 0x7f800000)));
    const auto signalling = hn::And(hn::Gt(signed_size, hn::Set(di, 0x7f800000)),
                                    hn::Lt(signed_size, hn::Set(di, 0x7fc00000)));
    const auto bad = hn::RebindMask(du, hn::Or(too_large, signalling));
    const auto normal = hn::Or(low, hn::IfThenElseZero(bad, hn::Set(du, 1)));
    return hn::IfThenElse(hn::RebindMask(du, small), changed, normal);
  }
};

// Looks at the misfits every 16 vectors: often enough to leave a wrong type at once, seldom enough
// that the branch costs nothing.
template <class Check>
HWY_INLINE bool all_fit(const float* values, std::size_t count) {
  constexpr std::size_t kLook = 16 * kLanes;
  const Words du;
  const Ints di;
  std::size_t i = 0;
  for (; i + kLook <= count; i += kLook) {
    WordVec misfit = hn::Zero(du);
    for (std::size_t at = 0; at < kLook; at += kLanes) {
      misfit = hn::Or(misfit, Check::misfit(F32::load(values + i + at)));
    }
    if (!hn::AllTrue(di, hn::Eq(hn::BitCast(di, misfit), hn::Zero(di)))) return false;
  }
  for (; i < count; i += kLanes) {
    HWY_ALIGN float last[kLanes] = {};
    std::memcpy(last, values + i, HWY_MIN(kLanes, count - i) * sizeof(float));
    const auto misfit = Check::misfit(F32::load(last));
    if (!hn::AllTrue(di, hn::Eq(hn::BitCast(di, misfit), hn::Zero(di)))) return false;
  }
  return true;
}

RowType narrowest(const float* values, std::size_t count) {
  if (all_fit<IsByte<0>>(values, count)) return RowType::u8;
  if (all_fit<IsByte<-128>>(values, count)) return RowType::i8;
  if (all_fit<IsF16>(values, count)) return RowType::f16;
  if (all_fit<IsBf16>(values, count)) return RowType::bf16;
  return RowType::f32;
}

// store(v, p) writes kLanes elements of the type; values must fit.
template <class Element>
struct ToByte {
  using Out = Element;
  static HWY_INLINE void store(FloatVec values, Element* out) {
    const hn::Rebind<Element, Floats> bytes;
    hn::StoreU(hn::DemoteTo(bytes, hn::ConvertTo(Ints(), values)), bytes, out);
  }
};

struct ToBf16 {
  using Out = std::uint16_t;
  static HWY_INLINE void store(FloatVec values, std::uint16_t* out) {
    const hn::Rebind<std::uint16_t, Floats> halves;
    const auto high = hn::ShiftRight<16>(hn::BitCast(Words(), values));
    hn::StoreU(hn::DemoteTo(halves, hn::BitCast(Ints(), high)), halves, out);
  }
};

struct ToF16 {
  using Out = std::uint16_t;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  static HWY_INLINE void store(FloatVec values, std::uint16_t* out) {
    const hn::Rebind<hwy::float16_t, Floats> halves;
    hn::StoreU(hn::DemoteTo(halves, values), halves, reinterpret_cast<hwy::float16_t*>(out));
  }
#else
  // Normal halves and those with the largest exponent keep their mantissa and move the exponent;
  // smaller ones are a count of 2^-24.
  static HWY_INLINE void store(FloatVec values, std::uint16_t* out) {
    const Words du;
    const Ints di;
    const auto bits = hn::BitCast(du, values);
    const auto sign = hn::ShiftLeft<15>(hn::ShiftRight<31>(bits));
    const auto size = hn::And(bits, hn::Set(du, 0x7fffffffU));
    const auto signed_size = hn::BitCast(di, size);
    const auto small = hn::Lt(signed_size, hn::Set(di, 0x38800000));
    const auto special = hn::Gt(signed_size, hn::Set(di, 0x7f7fffff));

    const auto scaled =
        hn::Mul(hn::BitCast(Floats(), size), hn::BitCast(Floats(), hn::Set(du, 0x4b800000U)));
    const auto steps =
        hn::ConvertTo(di, hn::IfThenElseZero(hn::RebindMask(Floats(), small), scaled));
    // 112 = 127 - 15, the distance of the biases; infinity and NaN have 31 in place of 255.
    const auto bias = hn::IfThenElse(special, hn::Set(di, 224 << 10), hn::Set(di, 112 << 10));
    const auto moved = hn::Sub(hn::BitCast(di, hn::ShiftRight<13>(size)), bias);
    const auto half = hn::Or(hn::IfThenElse(small, steps, moved), hn::BitCast(di, sign));
    const hn::Rebind<std::uint16_t, Floats> halves;
    hn::StoreU(hn::DemoteTo(halves, half), halves, out);
  }
#endif
};

template <class To>
void narrow_all(const float* values, std::size_t count, std::byte* out) {
  auto* to = reinterpret_cast<typename To::Out*>(out);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) To::store(F32::load(values + i), to + i);
  if (i == count) return;
  HWY_ALIGN float last[kLanes] = {};
  HWY_ALIGN typename To::Out narrowed[kLanes];
  std::memcpy(last, values + i, (count - i) * sizeof(float));
  To::store(F32::load(last), narrowed);
  std::memcpy(to + i, narrowed, (count - i) * sizeof(narrowed[0]));
}

void narrow_to(const float* values, std::size_t count, RowType type, std::byte* out) {
  switch (type) {
    case RowType::f32:
      std::memcpy(out, values, count * sizeof(float));
      return;
    case RowType::f16:
      return narrow_all<ToF16>(values, count, out);
    case RowType::bf16:
      return narrow_all<ToBf16>(values, count, out);
    case RowType::u8:
      return narrow_all<ToByte<std::uint8_t>>(values, count, out);
    case RowType::i8:
      return narrow_all<ToByte<std::int8_t>>(values, count, out);
  }
}

template <class Row>
HWY_INLINE void widen_one(const std::byte* row, std::size_t dim, float* out) {
  const auto* from = reinterpret_cast<const typename Row::Element*>(row);
  std::size_t j = 0;
  for (; j + kLanes <= dim; j += kLanes) hn::StoreU(Row::load(from + j), Floats(), out + j);
  if (j == dim) return;
  HWY_ALIGN typename Row::Element last[kLanes] = {};
  HWY_ALIGN float wide[kLanes];
  std::memcpy(last, from + j, (dim - j) * sizeof(last[0]));
  hn::Store(Row::load(last), Floats(), wide);
  std::memcpy(out + j, wide, (dim - j) * sizeof(float));
}

template <class Row>
void widen_each(const Rows& rows, float* out, std::size_t out_stride) {
  for (std::size_t i = 0; i < rows.count; ++i) {
    widen_one<Row>(rows.row(i), rows.dim, out + i * out_stride);
  }
}

void widen_rows(const Rows& rows, float* out, std::size_t out_stride) {
  switch (rows.type) {
    case RowType::f32:
      return widen_each<F32>(rows, out, out_stride);
    case RowType::f16:
      return widen_each<F16>(rows, out, out_stride);
    case RowType::bf16:
      return widen_each<Bf16>(rows, out, out_stride);
    case RowType::u8:
      return widen_each<U8>(rows, out, out_stride);
    case RowType::i8:
      return widen_each<I8>(rows, out, out_stride);
  }
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(narrowest);
HWY_EXPORT(narrow_to);
HWY_EXPORT(widen_rows);

[[maybe_unused]] const bool kObeyed = obey_environment();

bool is_byte(RowType type) { return type == RowType::u8 || type == RowType::i8; }

}  // namespace

std::string_view to_string(RowType type) {
  switch (type) {
    case RowType::f32:
      return "f32";
    case RowType::f16:
      return "f16";
    case RowType::bf16:
      return "bf16";
    case RowType::u8:
      return "u8";
    case RowType::i8:
      return "i8";
  }
  return "unknown";
}

std::size_t element_bytes(RowType type) {
  switch (type) {
    case RowType::f32:
      return 4;
    case RowType::f16:
    case RowType::bf16:
      return 2;
    case RowType::u8:
    case RowType::i8:
      return 1;
  }
  return 0;
}

RowType narrowest_type(std::span<const float> values) {
  return HWY_DYNAMIC_DISPATCH(narrowest)(values.data(), values.size());
}

// Both halves hold all integers of [-256, 256], so either holds bytes of both kinds.
RowType common_type(RowType a, RowType b) {
  if (a == b) return a;
  if (is_byte(a) && is_byte(b)) return RowType::f16;
  if (is_byte(a)) return b;
  if (is_byte(b)) return a;
  return RowType::f32;
}

void narrow(std::span<const float> values, RowType type, std::byte* out) {
  if (values.empty()) return;
  HWY_DYNAMIC_DISPATCH(narrow_to)(values.data(), values.size(), type, out);
}

void widen(const Rows& rows, std::size_t row, float* out) {
  HWY_DYNAMIC_DISPATCH(widen_rows)(rows.sub(row, 1), out, 0);
}

void widen_all(const Rows& rows, float* out, std::size_t out_stride_floats) {
  HWY_DYNAMIC_DISPATCH(widen_rows)(rows, out, out_stride_floats);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
