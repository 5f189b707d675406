#include <algorithm>
#include <cmath>

#include "kernels/sign_codes.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sign_table.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

// What all targets share.
#ifndef VARVE_KERNELS_SIGN_TABLE_ONCE
#define VARVE_KERNELS_SIGN_TABLE_ONCE
namespace varve::kernels {

// Entries are added up before they are rounded: in 256ths.
constexpr float kEntryParts = 256;

}  // namespace varve::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Lanes are groups. At least 16 of them, and fewer lanes than that.
struct Group {
  FloatVec q0, q1, q2, q3;

  HWY_INLINE void load(const float* query) {
    hn::LoadInterleaved4(Floats(), query, q0, q1, q2, q3);
  }
};

// The largest sum of sizes of a group.
float largest_group(const float* query, std::size_t groups) {
  const Floats d;
  auto largest = hn::Zero(d);
  for (std::size_t group = 0; group < groups; group += kLanes) {
    Group g;
    g.load(query + group * 4);
    largest = hn::Max(largest, hn::Add(hn::Add(hn::Abs(g.q0), hn::Abs(g.q1)),
                                       hn::Add(hn::Abs(g.q2), hn::Abs(g.q3))));
  }
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

using WordVec = hn::Vec<Words>;

// What a dimension adds to an entry, in parts, by its bit in the code.
struct Parts {
  WordVec clear, set;
};

HWY_INLINE Parts parts_of(FloatVec q, FloatVec per_part, WordVec& total) {
  const Ints d;
  const auto value = hn::NearestInt(hn::Mul(q, per_part));
  const auto set = hn::Max(value, hn::Zero(d));
  const auto clear = hn::Sub(set, value);
  total = hn::Add(total, hn::BitCast(Words(), hn::Add(set, clear)));
  return {hn::BitCast(Words(), clear), hn::BitCast(Words(), set)};
}

HWY_INLINE WordVec doubled(WordVec v) { return hn::Or(v, hn::ShiftLeft<16>(v)); }

// Entry 16 * group + code = the sum over dimensions whose sign is that of the code's bit, in steps.
// A 32-bit lane holds two entries in parts, of codes that differ in bit 1: no sum carries over.
// Returns the sum of all sizes, in parts.
std::uint32_t fill_table(const float* query, std::size_t groups, float per_part,
                         std::uint8_t* entries) {
  const Floats d;
  const Words words;
  const auto scale = hn::Set(d, per_part);
  const auto half = hn::Set(words, 0x00800080U);
  const auto low_bytes = hn::Set(words, 0x00FF00FFU);
  auto total = hn::Zero(words);
  for (std::size_t group = 0; group < groups; group += kLanes) {
    Group g;
    g.load(query + group * 4);
    const Parts p0 = parts_of(g.q0, scale, total), p1 = parts_of(g.q1, scale, total);
    const Parts p2 = parts_of(g.q2, scale, total), p3 = parts_of(g.q3, scale, total);
    const auto both1 = hn::Add(hn::Or(p1.clear, hn::ShiftLeft<16>(p1.set)), half);
    const auto even = hn::Add(both1, doubled(p0.clear)), odd = hn::Add(both1, doubled(p0.set));
    const auto clear2 = doubled(p2.clear), set2 = doubled(p2.set);
    const auto clear3 = doubled(p3.clear), set3 = doubled(p3.set);
    // Four entries a lane: codes 0 to 3 with bits 2 and 3 as in `upper`.
    const auto four = [&](WordVec upper) HWY_ATTR {
      const auto evens = hn::ShiftRight<8>(hn::Add(even, upper));
      const auto odds = hn::Add(odd, upper);
      return hn::Or(hn::And(evens, low_bytes), hn::AndNot(low_bytes, odds));
    };
    hn::StoreInterleaved4(four(hn::Add(clear2, clear3)), four(hn::Add(set2, clear3)),
                          four(hn::Add(clear2, set3)), four(hn::Add(set2, set3)), words,
                          reinterpret_cast<std::uint32_t*>(entries + group * 16));
  }
  HWY_ALIGN std::uint32_t totals[kLanes];
  hn::Store(total, words, totals);
  std::uint32_t sum = 0;
  for (const std::uint32_t lane : totals) sum += lane;
  return sum;
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(largest_group);
HWY_EXPORT(fill_table);

[[maybe_unused]] const bool kObeyed = obey_environment();

// Below it a step would not be a normal number; such a query is one of zeros.
constexpr float kLargestMin = 1e-30F;

}  // namespace

void SignTable::set(const float* rotated, std::uint32_t padded_dim) {
  padded_dim_ = padded_dim;
  const std::size_t groups = padded_dim / 4;
  entries_.resize(groups * 16);
  const float largest = HWY_DYNAMIC_DISPATCH(largest_group)(rotated, groups);
  const bool is_zero = !(largest >= kLargestMin);
  const float per_step = is_zero ? 0 : kSignEntryMax / (2 * largest);
  step_ = is_zero ? 0 : 2 * largest / kSignEntryMax;
  const float per_part = 2 * kEntryParts * per_step;
  const std::size_t first_dim = sign_first_dim(padded_dim), first = first_dim / 4;
  std::uint32_t total = HWY_DYNAMIC_DISPATCH(fill_table)(rotated, first, per_part, entries_.data());
  const auto base_of = [&] { return -static_cast<float>(total) * (step_ / (2 * kEntryParts)); };
  first_base_ = base_of();
  total += HWY_DYNAMIC_DISPATCH(fill_table)(rotated + first_dim, groups - first, per_part,
                                            entries_.data() + first * 16);
  base_ = base_of();
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
