// How a vector of float32 is loaded from each row type. Included once per target, hence the toggle
// in place of a guard.
#if defined(VARVE_KERNELS_WIDEN_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_KERNELS_WIDEN_INL_H
#undef VARVE_KERNELS_WIDEN_INL_H
#else
#define VARVE_KERNELS_WIDEN_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

// GCC and clang alike: without it the accumulator arrays would live in memory.
#define VARVE_UNROLL HWY_UNROLL(16)

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Words = hn::Rebind<std::uint32_t, Floats>;
using Ints = hn::Rebind<std::int32_t, Floats>;
using FloatVec = hn::Vec<Floats>;
constexpr std::size_t kLanes = hn::MaxLanes(Floats());

// load(p) reads kLanes elements at `p` and gives their exact values.
struct F32 {
  using Element = float;
  static HWY_INLINE FloatVec load(const float* p) { return hn::LoadU(Floats(), p); }
};

struct Bf16 {
  using Element = std::uint16_t;
  static HWY_INLINE FloatVec load(const std::uint16_t* p) {
    const auto half = hn::LoadU(hn::Rebind<std::uint16_t, Floats>(), p);
    return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), half)));
  }
};

struct U8 {
  using Element = std::uint8_t;
  static HWY_INLINE FloatVec load(const std::uint8_t* p) {
    const auto bytes = hn::LoadU(hn::Rebind<std::uint8_t, Floats>(), p);
    return hn::ConvertTo(Floats(), hn::PromoteTo(Ints(), bytes));
  }
};

struct I8 {
  using Element = std::int8_t;
  static HWY_INLINE FloatVec load(const std::int8_t* p) {
    const auto bytes = hn::LoadU(hn::Rebind<std::int8_t, Floats>(), p);
    return hn::ConvertTo(Floats(), hn::PromoteTo(Ints(), bytes));
  }
};

struct F16 {
  using Element = std::uint16_t;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  static HWY_INLINE FloatVec load(const std::uint16_t* p) {
    const hn::Rebind<hwy::float16_t, Floats> halves;
    return hn::PromoteTo(Floats(), hn::LoadU(halves, reinterpret_cast<const hwy::float16_t*>(p)));
  }
#else
  // Highway's own emulation takes infinities and NaN for numbers. Here: shift exponent and mantissa
  // into place, scale by 2^112 (exact, makes normal numbers of subnormal ones), then mend what had
  // the largest exponent. NaN become quiet, as the F16C instruction makes them.
  static HWY_INLINE FloatVec load(const std::uint16_t* p) {
    const Words du;
    const Ints di;
    const auto bits = hn::PromoteTo(du, hn::LoadU(hn::Rebind<std::uint16_t, Floats>(), p));
    const auto size = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7fffU)));
    const auto scale = hn::BitCast(Floats(), hn::Set(du, 0x77800000U));
    const auto number = hn::BitCast(du, hn::Mul(hn::BitCast(Floats(), size), scale));
    const auto signed_size = hn::BitCast(di, size);
    const auto special = hn::Gt(signed_size, hn::Set(di, 0x0f7fffff));
    const auto nan = hn::Gt(signed_size, hn::Set(di, 0x0f800000));
    const auto exponent = hn::IfThenElseZero(special, hn::Set(di, 0x7f800000));
    const auto quiet = hn::IfThenElseZero(nan, hn::Set(di, 0x00400000));
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000U)));
    const auto mended = hn::BitCast(du, hn::Or(exponent, quiet));
    return hn::BitCast(Floats(), hn::Or(hn::Or(number, sign), mended));
  }
#endif
};

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the toggle
