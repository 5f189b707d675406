#include "kernels/sign_codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sign_codes.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/widen-inl.h"
// clang-format on

// What all targets share.
#ifndef VARVE_KERNELS_SIGN_CODES_ONCE
#define VARVE_KERNELS_SIGN_CODES_ONCE
namespace varve::kernels {

// Of the entries of a table: four sums of them fit into a byte, 1,024 into two.
constexpr float kEntryMax = 63;
constexpr std::size_t kGroupBytes = 16;

struct SignScan {
  const std::uint8_t* entries;
  std::size_t groups;
  float base2, step2;  // twice those of the table
  float to_centroid, distance_to_centroid, limit;
};

}  // namespace varve::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Of one group, without FMA: the same entries on every target.
void fill_table(const float* query, std::size_t groups, float per_step, std::uint8_t* entries) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t group = 0; group < groups; ++group, query += 4, entries += kGroupBytes) {
    const float least =
        (std::abs(query[0]) + std::abs(query[1])) + (std::abs(query[2]) + std::abs(query[3]));
    for (unsigned code = 0; code < 16; ++code) {
      const auto signed_value = [&](unsigned j) {
        return (code >> j & 1) != 0 ? query[j] : -query[j];
      };
      const float sum = (signed_value(0) + signed_value(1)) + (signed_value(2) + signed_value(3));
      entries[code] = static_cast<std::uint8_t>(std::nearbyint((sum + least) * per_step));
    }
  }
#else
  const hn::CappedTag<float, 16> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  const hn::RebindToSigned<decltype(d)> ints;
  const hn::Rebind<std::uint8_t, decltype(d)> bytes;
  const std::size_t lanes = hn::Lanes(d);
  const auto scale = hn::Set(d, per_step);
  for (std::size_t group = 0; group < groups; ++group, query += 4, entries += kGroupBytes) {
    const auto least = hn::Set(
        d, (std::abs(query[0]) + std::abs(query[1])) + (std::abs(query[2]) + std::abs(query[3])));
    for (std::size_t code = 0; code < 16; code += lanes) {
      const auto codes = hn::Iota(words, static_cast<std::uint32_t>(code));
      // -value where the bit of the code is clear.
      const auto signed_value = [&](std::uint32_t j) HWY_ATTR {
        const auto clear = hn::Eq(hn::And(codes, hn::Set(words, 1U << j)), hn::Zero(words));
        const auto sign = hn::IfThenElseZero(clear, hn::Set(words, 0x80000000U));
        return hn::Xor(hn::Set(d, query[j]), hn::BitCast(d, sign));
      };
      const auto sum = hn::Add(hn::Add(signed_value(0), signed_value(1)),
                               hn::Add(signed_value(2), signed_value(3)));
      const auto entry = hn::NearestInt(hn::Mul(hn::Add(sum, least), scale));
      hn::StoreU(hn::DemoteTo(bytes, hn::BitCast(ints, entry)), bytes, entries + code);
    }
  }
#endif
}

// sums[i] = the entries of row i of the block, added up.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void sum_block(const SignScan& scan, const std::uint8_t* codes, std::uint16_t* sums) {
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

// Sums of bytes at even and odd places, in 16 bits, with one mask fewer: `all` also holds 256 times
// the odd ones, modulo 2^16.
struct Accumulator {
  SumVec all, odd;

  HWY_INLINE void add(CodeVec bytes) {
    const SumVec pairs = hn::BitCast(Sums(), bytes);
    all = hn::Add(all, pairs);
    odd = hn::Add(odd, hn::ShiftRight<8>(pairs));
  }
  // Of the 16 rows.
  HWY_INLINE void store(std::uint16_t* sums) const {
    const Sums d;
    const SumVec even = hn::Sub(all, hn::ShiftLeft<8>(odd));
    HWY_ALIGN std::uint16_t first[hn::MaxLanes(Sums())], second[hn::MaxLanes(Sums())];
    // Within each block of 16 bytes: rows 0 to 7, and 8 to 15.
    hn::Store(hn::InterleaveLower(d, even, odd), d, first);
    hn::Store(hn::InterleaveUpper(d, even, odd), d, second);
    const hn::Full128<std::uint16_t> d8;
    auto low = hn::Load(d8, first), high = hn::Load(d8, second);
    for (std::size_t i = 8; i < hn::MaxLanes(Sums()); i += 8) {
      low = hn::Add(low, hn::Load(d8, first + i));
      high = hn::Add(high, hn::Load(d8, second + i));
    }
    hn::StoreU(low, d8, sums);
    hn::StoreU(high, d8, sums + 8);
  }
};

HWY_INLINE void sum_block(const SignScan& scan, const std::uint8_t* codes, std::uint16_t* sums) {
  const Codes d;
  constexpr std::size_t kBytes = hn::MaxLanes(Codes());
  const auto low_half = hn::Set(d, 15);
  const SumVec none = hn::Zero(Sums());
  Accumulator low{none, none}, high{none, none};
  // 64 dimensions are a whole number of such steps on every target.
  for (std::size_t at = 0; at < scan.groups * kGroupBytes; at += 4 * kBytes) {
    CodeVec low_sum = hn::Zero(d), high_sum = hn::Zero(d);
    VARVE_UNROLL for (std::size_t i = 0; i < 4; ++i) {
      const auto entries = hn::LoadU(d, scan.entries + at + i * kBytes);
      const auto code = hn::LoadU(d, codes + at + i * kBytes);
      low_sum = hn::Add(low_sum, hn::TableLookupBytes(entries, hn::And(code, low_half)));
      high_sum = hn::Add(
          high_sum,
          hn::TableLookupBytes(
              entries,
              hn::And(hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(Sums(), code))), low_half)));
    }
    low.add(low_sum);
    high.add(high_sum);
  }
  low.store(sums);
  high.store(sums + 16);
}
#endif

// Estimates and bounds of a block; returns a bit for each row whose bound is within the limit.
HWY_INLINE std::uint32_t bound_block(const SignScan& scan, const std::uint16_t* sums,
                                     const std::byte* factors, float* estimates, float* lowers) {
  const Floats d;
  const auto* add = reinterpret_cast<const float*>(factors);
  const auto* rescale = reinterpret_cast<const std::uint16_t*>(add + kSignBlockRows);
  const auto* error = rescale + kSignBlockRows;
  const auto base2 = hn::Set(d, scan.base2), step2 = hn::Set(d, scan.step2);
  const auto to_centroid = hn::Set(d, scan.to_centroid);
  const auto distance = hn::Set(d, scan.distance_to_centroid);
  const auto limit = hn::Set(d, scan.limit);
  std::uint32_t within = 0;
  for (std::size_t i = 0; i < kSignBlockRows; i += kLanes) {
    const auto sum = hn::ConvertTo(
        d, hn::PromoteTo(Ints(), hn::LoadU(hn::Rebind<std::uint16_t, Floats>(), sums + i)));
    const auto product2 = hn::MulAdd(step2, sum, base2);
    const auto estimate = hn::NegMulAdd(Bf16::load(rescale + i), product2,
                                        hn::Add(hn::LoadU(d, add + i), to_centroid));
    const auto lower = hn::NegMulAdd(Bf16::load(error + i), distance, estimate);
    hn::StoreU(estimate, d, estimates + i);
    hn::StoreU(lower, d, lowers + i);
    const auto in = hn::Le(lower, limit);
    HWY_ALIGN std::uint8_t bits[8] = {};
    hn::StoreMaskBits(d, in, bits);
    std::uint32_t word;
    std::memcpy(&word, bits, sizeof(word));
    within |= word << i;
  }
  return within;
}

std::size_t scan_blocks(const SignScan& scan, const std::byte* blocks, std::size_t rows,
                        SignHit* hits) {
  HWY_ALIGN std::uint16_t sums[kSignBlockRows];
  HWY_ALIGN float estimates[kSignBlockRows], lowers[kSignBlockRows];
  const std::size_t code_bytes = scan.groups * kGroupBytes;
  const std::size_t block_bytes = code_bytes + kSignBlockRows * 8;
  std::size_t found = 0;
  for (std::size_t row = 0; row < rows; row += kSignBlockRows, blocks += block_bytes) {
    sum_block(scan, reinterpret_cast<const std::uint8_t*>(blocks), sums);
    std::uint32_t within = bound_block(scan, sums, blocks + code_bytes, estimates, lowers);
    if (rows - row < kSignBlockRows) within &= (1U << (rows - row)) - 1;
    for (; within != 0; within &= within - 1) {
      const auto i = static_cast<std::uint32_t>(std::countr_zero(within));
      hits[found++] = {lowers[i], estimates[i], static_cast<std::uint32_t>(row) + i};
    }
  }
  return found;
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(fill_table);
HWY_EXPORT(scan_blocks);

[[maybe_unused]] const bool kObeyed = obey_environment();

// Of the error in units of its spread: RaBitQ's choice. 1.2 loses a third of a point of recall.
constexpr double kSpread = 1.9;

// Rounds to nearest, ties to even; NaN does not occur.
std::uint16_t bf16_of(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

template <typename T>
void store(std::byte* at, std::size_t place, T value) {
  std::memcpy(at + place * sizeof(T), &value, sizeof(T));
}

struct SignSums {
  double of_sizes = 0;       // sum |r_j|, which is r . s
  double of_squares = 0;     // r . r
  double with_centroid = 0;  // c . s
};

}  // namespace

// With signs s, r . q is estimated by (s . q)(r . r)/(r . s), whose error has the spread
// |r||q| sqrt((1 - a^2) / a^2 / (dim - 1)), a = r . s / (|r| sqrt(dim)) (RaBitQ, theorem 3.2). The
// query is not centred, so c . s of the row is taken off where it is added.
void encode_signs(const float* rotated, const float* rotated_centroid, std::uint32_t padded_dim,
                  std::size_t place, std::byte* block) {
  SignSums sums;
  for (std::uint32_t j = 0; j < padded_dim; ++j) {
    const auto value = static_cast<double>(rotated[j]);
    const auto centre = static_cast<double>(rotated_centroid[j]);
    const bool is_set = !(value < 0);
    sums.of_sizes += std::abs(value);
    sums.of_squares += value * value;
    sums.with_centroid += is_set ? centre : -centre;
    const std::size_t byte = j / 4 * kGroupBytes + place % 16;
    const unsigned bit = j % 4 + (place < 16 ? 0 : 4);
    if (is_set) block[byte] |= std::byte{1} << bit;
  }
  const double dim = padded_dim;
  const double rescale = sums.of_sizes > 0 ? sums.of_squares / sums.of_sizes : 0;
  const double cosine2 =
      sums.of_squares > 0 ? sums.of_sizes * sums.of_sizes / (sums.of_squares * dim) : 1;
  const double spread = std::sqrt(std::max(0.0, 1 - cosine2) / cosine2 / (dim - 1));
  std::byte* const factors = block + std::size_t{padded_dim} * 4;
  // What rounding `rescale` to bf16 does to the estimate is taken back as far as it is known.
  const std::uint16_t rounded = bf16_of(rescale);
  const auto used =
      static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(rounded) << 16));
  store(factors, place, static_cast<float>(sums.of_squares + 2 * used * sums.with_centroid));
  store(factors + 4 * kSignBlockRows, place, rounded);
  store(factors + 6 * kSignBlockRows, place,
        bf16_of(2 * kSpread * spread * std::sqrt(sums.of_squares)));
}

void SignTable::set(const float* rotated, std::uint32_t padded_dim) {
  padded_dim_ = padded_dim;
  const std::size_t groups = padded_dim / 4;
  entries_.resize(groups * kGroupBytes);
  float largest = 0, all = 0;
  for (std::size_t group = 0; group < groups; ++group) {
    const float* q = rotated + group * 4;
    const float sizes = (std::abs(q[0]) + std::abs(q[1])) + (std::abs(q[2]) + std::abs(q[3]));
    largest = std::max(largest, sizes);
    all += sizes;
  }
  base_ = -all;
  step_ = 2 * largest / kEntryMax;
  const float per_step = largest > 0 ? kEntryMax / (2 * largest) : 0;
  HWY_DYNAMIC_DISPATCH(fill_table)(rotated, groups, per_step, entries_.data());
}

std::size_t scan_signs(const SignTable& table, const std::byte* blocks, std::size_t rows,
                       float to_centroid, float limit, SignHit* hits) {
  const SignScan scan{table.entries(),
                      table.padded_dim() / 4,
                      2 * table.base(),
                      2 * table.step(),
                      to_centroid,
                      std::sqrt(to_centroid),
                      limit};
  return HWY_DYNAMIC_DISPATCH(scan_blocks)(scan, blocks, rows, hits);
}

}  // namespace varve::kernels
#endif  // HWY_ONCE
