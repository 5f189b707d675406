#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/sign_codes.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sign_scan.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

// What all targets share.
#ifndef VARVE_KERNELS_SIGN_SCAN_ONCE
#define VARVE_KERNELS_SIGN_SCAN_ONCE
namespace varve::kernels {

constexpr std::size_t kGroupBytes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct SignScan {
  const std::uint8_t* entries;
  std::size_t groups;
  float base2, step2;  // twice those of the table
  float to_centroid, distance_to_centroid;
};

// A bit for each row of the block at `row` that counts.
inline std::uint32_t counting_rows(const SignCluster& cluster, std::size_t row) {
  const std::size_t left = cluster.rows - row;
  const std::uint32_t all = left < kSignBlockRows ? (1U << left) - 1 : ~0U;
  if (cluster.skip == nullptr) return all;
  return all & ~static_cast<std::uint32_t>(cluster.skip[row / 64] >> (row % 64));
}
// The first row, from the block at `row` on, of a block with rows that count.
inline std::size_t next_block(const SignCluster& cluster, std::size_t row) {
  while (row < cluster.rows && counting_rows(cluster, row) == 0) row += kSignBlockRows;
  return row;
}

}  // namespace varve::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// sums[i] = the entries of row i of the block, added up. `ahead`: bytes from each code to one that
// is looked at later.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void sum_block(const SignScan& scan, const std::uint8_t* codes, std::ptrdiff_t,
                          std::uint16_t* sums) {
  std::fill_n(sums, kSignBlockRows, std::uint16_t{0});
  for (std::size_t group = 0; group < scan.groups; ++group) {
    const std::uint8_t* entries = scan.entries + group * kGroupBytes;
    for (std::size_t i = 0; i < kGroupBytes; ++i) {
      const std::uint8_t code = codes[group * kGroupBytes + i];
      sums[i] = static_cast<std::uint16_t>(sums[i] + entries[code & 15]);
      sums[i + 16] = static_cast<std::uint16_t>(sums[i + 16] + entries[code >> 4]);
    }
  }
}
#else
using Codes = hn::CappedTag<std::uint8_t, 64>;
using Sums = hn::Repartition<std::uint16_t, Codes>;
using CodeVec = hn::Vec<Codes>;
using SumVec = hn::Vec<Sums>;
constexpr std::size_t kCodeBytes = hn::MaxLanes(Codes());

// Sums of bytes at even and odd places, in 16 bits, with one mask fewer: `all` also holds 256 times
// the odd ones, modulo 2^16.
struct Accumulator {
  SumVec all, odd;

  HWY_INLINE void add(CodeVec bytes) {
    const SumVec pairs = hn::BitCast(Sums(), bytes);
    all = hn::Add(all, pairs);
    odd = hn::Add(odd, hn::ShiftRight<8>(pairs));
  }
  HWY_INLINE SumVec even() const { return hn::Sub(all, hn::ShiftLeft<8>(odd)); }
};

// Each block of 16 bytes holds sums of 8 rows, of other dimensions in each: 16 rows from both.
#if HWY_TARGET == HWY_AVX3
HWY_INLINE SumVec sum_of_halves(SumVec a, SumVec b) {
  const Sums d;
  return hn::Add(hn::ConcatLowerLower(d, b, a), hn::ConcatUpperUpper(d, b, a));
}

HWY_INLINE void store_sums(const Accumulator& low, const Accumulator& high, std::uint16_t* sums) {
  const Sums d;
  const SumVec first = sum_of_halves(low.even(), low.odd);
  const SumVec second = sum_of_halves(high.even(), high.odd);
  const SumVec joined = hn::Add(hn::OddEvenBlocks(second, first),
                                hn::SwapAdjacentBlocks(hn::OddEvenBlocks(first, second)));
  // Now even rows of the first 16, of the others, odd rows of the first, of the others.
  const hn::Repartition<std::uint32_t, Sums> pairs;
  const hn::Half<Sums> half;
  const auto even = hn::PromoteTo(pairs, hn::LowerHalf(half, joined));
  const auto odd = hn::PromoteTo(pairs, hn::UpperHalf(half, joined));
  hn::StoreU(hn::BitCast(d, hn::Or(even, hn::ShiftLeft<16>(odd))), d, sums);
}
#else
HWY_INLINE void store_half(const Accumulator& from, std::uint16_t* sums) {
  const Sums d;
  HWY_ALIGN std::uint16_t first[hn::MaxLanes(Sums())], second[hn::MaxLanes(Sums())];
  // Within each block: rows 0 to 7, and 8 to 15.
  hn::Store(hn::InterleaveLower(d, from.even(), from.odd), d, first);
  hn::Store(hn::InterleaveUpper(d, from.even(), from.odd), d, second);
  const hn::Full128<std::uint16_t> d8;
  auto low = hn::Load(d8, first), high = hn::Load(d8, second);
  for (std::size_t i = 8; i < hn::MaxLanes(Sums()); i += 8) {
    low = hn::Add(low, hn::Load(d8, first + i));
    high = hn::Add(high, hn::Load(d8, second + i));
  }
  hn::StoreU(low, d8, sums);
  hn::StoreU(high, d8, sums + 8);
}

HWY_INLINE void store_sums(const Accumulator& low, const Accumulator& high, std::uint16_t* sums) {
  store_half(low, sums);
  store_half(high, sums + 16);
}
#endif

// Adds the entries of kSteps vectors of codes, whose sums fit into bytes.
template <std::size_t kSteps>
HWY_INLINE void add_steps(const std::uint8_t* table, const std::uint8_t* codes,
                          std::ptrdiff_t ahead, Accumulator& low, Accumulator& high) {
  const Codes d;
  const auto low_half = hn::Set(d, 15);
  CodeVec low_sum = hn::Zero(d), high_sum = hn::Zero(d);
  VARVE_UNROLL for (std::size_t i = 0; i < kSteps; ++i) {
    const std::uint8_t* const at = codes + i * kCodeBytes;
    if ((i * kCodeBytes) % 64 == 0) hwy::Prefetch(at + ahead);
    const auto entries = hn::LoadU(d, table + i * kCodeBytes);
    const auto code = hn::LoadU(d, at);
    const auto shifted = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(Sums(), code)));
    low_sum = hn::Add(low_sum, hn::TableLookupBytes(entries, hn::And(code, low_half)));
    high_sum = hn::Add(high_sum, hn::TableLookupBytes(entries, hn::And(shifted, low_half)));
  }
  low.add(low_sum);
  high.add(high_sum);
}

HWY_INLINE void sum_block(const SignScan& scan, const std::uint8_t* codes, std::ptrdiff_t ahead,
                          std::uint16_t* sums) {
  const SumVec none = hn::Zero(Sums());
  Accumulator low{none, none}, high{none, none};
  const std::size_t bytes = scan.groups * kGroupBytes;
  std::size_t at = 0;
  for (; at + 8 * kCodeBytes <= bytes; at += 8 * kCodeBytes) {
    add_steps<8>(scan.entries + at, codes + at, ahead, low, high);
  }
  // 64 dimensions are a whole number of four steps on every target.
  if (at < bytes) add_steps<4>(scan.entries + at, codes + at, ahead, low, high);
  store_sums(low, high, sums);
}
#endif

// Estimates and bounds of a block; returns a bit for each row whose bound is within the limit, or
// not a number. Where there is none, nothing is written.
HWY_INLINE std::uint32_t bound_block(const SignScan& scan, const std::uint16_t* sums,
                                     const std::byte* factors, float max_lower, float* estimates,
                                     float* lowers) {
  const Floats d;
  const auto* add = reinterpret_cast<const float*>(factors);
  const auto* rescale = reinterpret_cast<const std::uint16_t*>(add + kSignBlockRows);
  const auto* error = rescale + kSignBlockRows;
  const auto base2 = hn::Set(d, scan.base2), step2 = hn::Set(d, scan.step2);
  const auto to_centroid = hn::Set(d, scan.to_centroid);
  const auto distance = hn::Set(d, scan.distance_to_centroid);
  const auto limit = hn::Set(d, max_lower);
  std::uint32_t within = 0;
  for (std::size_t i = 0; i < kSignBlockRows; i += kLanes) {
    const auto sum = hn::ConvertTo(
        d, hn::PromoteTo(Ints(), hn::LoadU(hn::Rebind<std::uint16_t, Floats>(), sums + i)));
    const auto product2 = hn::MulAdd(step2, sum, base2);
    const auto estimate = hn::NegMulAdd(Bf16::load(rescale + i), product2,
                                        hn::Add(hn::LoadU(d, add + i), to_centroid));
    const auto lower = hn::NegMulAdd(Bf16::load(error + i), distance, estimate);
    const auto out = hn::Gt(lower, limit);
    if (hn::AllTrue(d, out)) continue;
    hn::StoreU(estimate, d, estimates + i);
    hn::StoreU(lower, d, lowers + i);
    HWY_ALIGN std::uint8_t bits[8] = {};
    hn::StoreMaskBits(d, hn::Not(out), bits);
    std::uint32_t word;
    std::memcpy(&word, bits, sizeof(word));
    within |= word << i;
  }
  return within;
}

void estimate_blocks(const SignScan& scan, const std::byte* blocks, std::size_t rows,
                     float* estimates, float* lowers) {
  HWY_ALIGN std::uint16_t sums[kSignBlockRows];
  const std::size_t code_bytes = scan.groups * kGroupBytes;
  const auto block_bytes = static_cast<std::ptrdiff_t>(code_bytes + kSignBlockRows * 8);
  for (std::size_t row = 0; row < rows; row += kSignBlockRows, blocks += block_bytes) {
    sum_block(scan, reinterpret_cast<const std::uint8_t*>(blocks), block_bytes, sums);
    bound_block(scan, sums, blocks + code_bytes, kInfinity, estimates + row, lowers + row);
  }
}

void add_uppers(std::span<const float> estimates, const float* lowers, UpperBounds& bounds) {
  const Floats d;
  HWY_ALIGN float uppers[kLanes];
  const auto upper = [](float estimate, float lower) { return estimate + (estimate - lower); };
  std::size_t i = 0;
  for (; i + kLanes <= estimates.size(); i += kLanes) {
    const auto estimate = hn::LoadU(d, estimates.data() + i);
    const auto all = hn::Add(estimate, hn::Sub(estimate, hn::LoadU(d, lowers + i)));
    if (hn::AllFalse(d, hn::Lt(all, hn::Set(d, bounds.limit())))) continue;
    hn::Store(all, d, uppers);
    for (const float one : uppers) bounds.add(one);
  }
  for (; i < estimates.size(); ++i) bounds.add(upper(estimates[i], lowers[i]));
}

// Calls visit(lower, estimate, row) for rows whose bound is within limit(), in order.
template <class Limit, class Visit>
HWY_INLINE void for_rows(const SignScan& scan, const SignCluster& cluster, Limit limit,
                         Visit visit) {
  HWY_ALIGN std::uint16_t sums[kSignBlockRows];
  HWY_ALIGN float estimates[kSignBlockRows], lowers[kSignBlockRows];
  const std::size_t code_bytes = scan.groups * kGroupBytes;
  const std::size_t block_bytes = code_bytes + kSignBlockRows * 8;
  const auto block_at = [&](std::size_t row) HWY_ATTR {
    return cluster.blocks + row / kSignBlockRows * block_bytes;
  };
  std::size_t next = 0;
  for (std::size_t row = next_block(cluster, 0); row < cluster.rows; row = next) {
    next = next_block(cluster, row + kSignBlockRows);
    const std::byte* const block = block_at(row);
    const std::byte* const after = next < cluster.rows ? block_at(next) : cluster.next;
    sum_block(scan, reinterpret_cast<const std::uint8_t*>(block),
              after == nullptr ? 0 : after - block, sums);
    std::uint32_t within = bound_block(scan, sums, block + code_bytes, limit(), estimates, lowers);
    for (within &= counting_rows(cluster, row); within != 0; within &= within - 1) {
      const auto i = static_cast<std::uint32_t>(std::countr_zero(within));
      // What overflowed may be anywhere.
      const bool is_sound = lowers[i] <= estimates[i];
      visit(is_sound ? lowers[i] : -kInfinity, is_sound ? estimates[i] : kInfinity,
            cluster.first_row + static_cast<std::uint32_t>(row) + i);
    }
  }
}

std::size_t scan_to_limit(const SignScan& scan, const SignCluster& cluster, float limit,
                          SignHit* hits) {
  SignHit* end = hits;
  for_rows(
      scan, cluster, [limit]() HWY_ATTR { return limit; },
      [&](float lower, float estimate, std::uint32_t row) HWY_ATTR {
        *end++ = {lower, estimate, row};
      });
  return static_cast<std::size_t>(end - hits);
}

std::size_t scan_to_bounds(const SignScan& scan, const SignCluster& cluster, UpperBounds& bounds,
                           SignHit* hits) {
  SignHit* end = hits;
  for_rows(
      scan, cluster, [&]() HWY_ATTR { return bounds.limit(); },
      [&](float lower, float estimate, std::uint32_t row) HWY_ATTR {
        if (lower > bounds.limit()) return;
        *end = {lower, estimate, row};
        bounds.add(end->upper());
        ++end;
      });
  return static_cast<std::size_t>(end - hits);
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(estimate_blocks);
HWY_EXPORT(add_uppers);
HWY_EXPORT(scan_to_limit);
HWY_EXPORT(scan_to_bounds);

[[maybe_unused]] const bool kObeyed = obey_environment();

SignScan scan_of(const SignTable& table, float to_centroid) {
  return {table.entries(), table.padded_dim() / 4, 2 * table.base(), 2 * table.step(),
          to_centroid,     std::sqrt(to_centroid)};
}

}  // namespace

void UpperBounds::replace_largest(float upper) {
  std::pop_heap(bounds_.begin(), bounds_.end());
  bounds_.back() = upper;
  std::push_heap(bounds_.begin(), bounds_.end());
  limit_ = bounds_.front();
}

void estimate_signs(const SignTable& table, const std::byte* blocks, std::size_t rows,
                    float to_centroid, float* estimates, float* lowers) {
  HWY_DYNAMIC_DISPATCH(estimate_blocks)
  (scan_of(table, to_centroid), blocks, rows, estimates, lowers);
}

void add_upper_bounds(std::span<const float> estimates, const float* lowers, UpperBounds& bounds) {
  HWY_DYNAMIC_DISPATCH(add_uppers)(estimates, lowers, bounds);
}

std::size_t scan_signs(const SignTable& table, const std::byte* blocks, std::size_t rows,
                       float to_centroid, float limit, SignHit* hits) {
  return HWY_DYNAMIC_DISPATCH(scan_to_limit)(
      scan_of(table, to_centroid), {.blocks = blocks, .rows = rows, .to_centroid = to_centroid},
      limit, hits);
}

std::size_t scan_signs(const SignTable& table, const SignCluster& cluster, UpperBounds& bounds,
                       SignHit* hits) {
  return HWY_DYNAMIC_DISPATCH(scan_to_bounds)(scan_of(table, cluster.to_centroid), cluster, bounds,
                                              hits);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
