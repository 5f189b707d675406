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
// is looked at later; not used unless kFetch.
#if HWY_TARGET == HWY_SCALAR
template <bool>
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
template <std::size_t kSteps, bool kFetch>
HWY_INLINE void add_steps(const std::uint8_t* table, const std::uint8_t* codes,
                          std::ptrdiff_t ahead, Accumulator& low, Accumulator& high) {
  const Codes d;
  const auto low_half = hn::Set(d, 15);
  CodeVec low_sum = hn::Zero(d), high_sum = hn::Zero(d);
  VARVE_UNROLL for (std::size_t i = 0; i < kSteps; ++i) {
    const std::uint8_t* const at = codes + i * kCodeBytes;
    if (kFetch && (i * kCodeBytes) % 64 == 0) hwy::Prefetch(at + ahead);
    const auto entries = hn::LoadU(d, table + i * kCodeBytes);
    const auto code = hn::LoadU(d, at);
    const auto shifted = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(Sums(), code)));
    low_sum = hn::Add(low_sum, hn::TableLookupBytes(entries, hn::And(code, low_half)));
    high_sum = hn::Add(high_sum, hn::TableLookupBytes(entries, hn::And(shifted, low_half)));
  }
  low.add(low_sum);
  high.add(high_sum);
}

template <bool kFetch>
HWY_INLINE void sum_block(const SignScan& scan, const std::uint8_t* codes, std::ptrdiff_t ahead,
                          std::uint16_t* sums) {
  const SumVec none = hn::Zero(Sums());
  Accumulator low{none, none}, high{none, none};
  const std::size_t bytes = scan.groups * kGroupBytes;
  std::size_t at = 0;
  for (; at + 8 * kCodeBytes <= bytes; at += 8 * kCodeBytes) {
    add_steps<8, kFetch>(scan.entries + at, codes + at, ahead, low, high);
  }
  // 64 dimensions are a whole number of four steps on every target.
  if (at < bytes) add_steps<4, kFetch>(scan.entries + at, codes + at, ahead, low, high);
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
  const auto block_bytes = static_cast<std::ptrdiff_t>(code_bytes + kSignFactorBytes);
  for (std::size_t row = 0; row < rows; row += kSignBlockRows, blocks += block_bytes) {
    sum_block<true>(scan, reinterpret_cast<const std::uint8_t*>(blocks), block_bytes, sums);
    bound_block(scan, sums, blocks + code_bytes, kInfinity, estimates + row, lowers + row);
  }
}

struct BlockBounds {
  HWY_ALIGN float estimates[kSignBlockRows];
  HWY_ALIGN float lowers[kSignBlockRows];

  // As bound_block().
  HWY_INLINE std::uint32_t set(const SignScan& scan, const std::uint16_t* sums,
                               const std::byte* factors, float limit) {
    return bound_block(scan, sums, factors, limit, estimates, lowers);
  }
  // Calls visit(lower, estimate, i) for the rows of the block in `within`, in order.
  template <class Visit>
  HWY_INLINE void for_rows(std::uint32_t within, Visit visit) const {
    for (; within != 0; within &= within - 1) {
      const auto i = static_cast<std::uint32_t>(std::countr_zero(within));
      // What overflowed may be anywhere.
      const bool is_sound = lowers[i] <= estimates[i];
      visit(is_sound ? lowers[i] : -kInfinity, is_sound ? estimates[i] : kInfinity, i);
    }
  }
};

// Bytes from what is looked at to what is fetched, at least: less would come too late.
constexpr std::size_t kAheadMin = 4096;

// The block to be fetched while the one before that at `row` is looked at; null: there is none.
HWY_INLINE const std::byte* fetched_after(const SignCluster& cluster, std::size_t block_bytes,
                                          std::size_t row) {
  const std::size_t more = (kAheadMin - 1) / block_bytes;
  const std::size_t blocks = (cluster.rows + kSignBlockRows - 1) / kSignBlockRows;
  const std::size_t at = row / kSignBlockRows + more;
  if (at < blocks) return cluster.blocks + at * block_bytes;
  return cluster.next == nullptr ? nullptr : cluster.next + (at - blocks) * block_bytes;
}

// Calls visit(block, row, ahead) for the blocks with rows that count; `row` is the first of the
// block, `ahead` as for sum_block().
template <class Visit>
HWY_INLINE void for_blocks(const SignCluster& cluster, std::size_t block_bytes, Visit visit) {
  const auto block_at = [&](std::size_t row) HWY_ATTR {
    return cluster.blocks + row / kSignBlockRows * block_bytes;
  };
  std::size_t next = 0;
  for (std::size_t row = next_block(cluster, 0); row < cluster.rows; row = next) {
    next = next_block(cluster, row + kSignBlockRows);
    const std::byte* const block = block_at(row);
    const std::byte* const after = fetched_after(cluster, block_bytes, next);
    visit(block, row, after == nullptr ? 0 : after - block);
  }
}

// Calls visit(lower, estimate, row) for rows whose bound is within limit(), in order.
template <class Limit, class Visit>
HWY_INLINE void for_rows(const SignScan& scan, const SignCluster& cluster, Limit limit,
                         Visit visit) {
  HWY_ALIGN std::uint16_t sums[kSignBlockRows];
  BlockBounds bounds;
  const std::size_t code_bytes = scan.groups * kGroupBytes;
  for_blocks(cluster, code_bytes + kSignFactorBytes,
             [&](const std::byte* block, std::size_t row, std::ptrdiff_t ahead) HWY_ATTR {
               sum_block<true>(scan, reinterpret_cast<const std::uint8_t*>(block), ahead, sums);
               const std::uint32_t within = bounds.set(scan, sums, block + code_bytes, limit());
               const auto first_row = cluster.first_row + static_cast<std::uint32_t>(row);
               bounds.for_rows(within & counting_rows(cluster, row),
                               [&](float lower, float estimate, std::uint32_t i)
                                   HWY_ATTR { visit(lower, estimate, first_row + i); });
             });
}

// A block of which the first dimensions have been summed up, and not all rows left out.
struct HalfSummed {
  HWY_ALIGN std::uint16_t sums[kSignBlockRows];
  const std::byte* block = nullptr;  // null: there is none
  std::size_t row = 0;
};

// As for_rows() of blocks for two steps. The second step of a block comes after the first of the
// next one: meanwhile its codes are fetched.
template <class Limit, class Visit>
HWY_INLINE void for_rows_in_steps(const SignScan& first, const SignScan& rest,
                                  const SignCluster& cluster, Limit limit, Visit visit) {
  HWY_ALIGN std::uint16_t others[kSignBlockRows];
  BlockBounds bounds;
  const std::size_t first_bytes = first.groups * kGroupBytes;
  const std::size_t code_bytes = first_bytes + rest.groups * kGroupBytes;
  const auto finish = [&](HalfSummed& half) HWY_ATTR {
    const auto* const codes = reinterpret_cast<const std::uint8_t*>(half.block) + first_bytes;
    sum_block<false>(rest, codes, 0, others);
    for (std::size_t i = 0; i < kSignBlockRows; ++i) {
      half.sums[i] = static_cast<std::uint16_t>(half.sums[i] + others[i]);
    }
    const std::uint32_t within = bounds.set(rest, half.sums, half.block + code_bytes, limit());
    const auto first_row = cluster.first_row + static_cast<std::uint32_t>(half.row);
    bounds.for_rows(within & counting_rows(cluster, half.row),
                    [&](float lower, float estimate, std::uint32_t i)
                        HWY_ATTR { visit(lower, estimate, first_row + i); });
    half.block = nullptr;
  };
  HalfSummed halves[2];
  std::size_t turn = 0;
  for_blocks(cluster, code_bytes + 2 * kSignFactorBytes,
             [&](const std::byte* block, std::size_t row, std::ptrdiff_t ahead) HWY_ATTR {
               const std::byte* const factors = block + code_bytes + kSignFactorBytes;
               HalfSummed& half = halves[turn];
               HalfSummed& before = halves[1 - turn];
               for (std::size_t i = 0; i < kSignFactorBytes; i += 64) {
                 hwy::Prefetch(factors + i + ahead);
               }
               sum_block<true>(first, reinterpret_cast<const std::uint8_t*>(block), ahead,
                               half.sums);
               const std::uint32_t within = bounds.set(first, half.sums, factors, limit());
               if ((within & counting_rows(cluster, row)) != 0) {
                 half.block = block;
                 half.row = row;
                 for (std::size_t i = first_bytes; i < code_bytes + kSignFactorBytes; i += 64) {
                   hwy::Prefetch(block + i);
                 }
               }
               if (before.block != nullptr) finish(before);
               turn = 1 - turn;
             });
  if (halves[1 - turn].block != nullptr) finish(halves[1 - turn]);
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

std::size_t scan_to_bounds(const SignScan& scan, float first_base2, const SignCluster& cluster,
                           UpperBounds& bounds, SignHit* hits) {
  SignHit* end = hits;
  const auto limit = [&]() HWY_ATTR { return bounds.limit(); };
  const auto visit = [&](float lower, float estimate, std::uint32_t row) HWY_ATTR {
    if (lower > bounds.limit()) return;
    *end = {lower, estimate, row};
    bounds.add(end->upper());
    ++end;
  };
  if (cluster.steps == SignSteps::one) {
    for_rows(scan, cluster, limit, visit);
  } else {
    SignScan first = scan, rest = scan;
    first.groups = sign_first_dim(static_cast<std::uint32_t>(scan.groups * 4)) / 4;
    first.base2 = first_base2;
    rest.entries += first.groups * kGroupBytes;
    rest.groups -= first.groups;
    for_rows_in_steps(first, rest, cluster, limit, visit);
  }
  return static_cast<std::size_t>(end - hits);
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(estimate_blocks);
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

std::size_t scan_signs(const SignTable& table, const std::byte* blocks, std::size_t rows,
                       float to_centroid, float limit, SignHit* hits) {
  return HWY_DYNAMIC_DISPATCH(scan_to_limit)(
      scan_of(table, to_centroid), {.blocks = blocks, .rows = rows, .to_centroid = to_centroid},
      limit, hits);
}

std::size_t scan_signs(const SignTable& table, const SignCluster& cluster, UpperBounds& bounds,
                       SignHit* hits) {
  return HWY_DYNAMIC_DISPATCH(scan_to_bounds)(scan_of(table, cluster.to_centroid),
                                              2 * table.first_base(), cluster, bounds, hits);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
