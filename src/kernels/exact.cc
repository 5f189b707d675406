// The reference distances. Plain code, compiled once for the baseline, so that every machine gives
// the same bits; the eight lanes leave the compiler room for vectors.
#include <algorithm>
#include <array>

#include "kernels/distance.h"

// A fused multiply-add, which a build for a newer baseline would form, rounds once where this file
// promises twice.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

namespace varve::kernels {
namespace {

constexpr std::size_t kLanes = 8;
constexpr std::size_t kChunk = 512;  // values widened at a time
static_assert(kChunk % kLanes == 0, "a chunk ends where lane 0 is next");

using Lanes = std::array<double, kLanes>;

double joined(const Lanes& sums) {
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

struct Difference {
  static double term(float query, float row) {
    const double difference = static_cast<double>(query) - static_cast<double>(row);
    return difference * difference;
  }
};

struct Product {
  static double term(float query, float row) {
    return static_cast<double>(query) * static_cast<double>(row);
  }
};

template <class Op>
void accumulate(const float* query, const float* row, std::size_t count, Lanes& sums) {
  Lanes local = sums;
  std::size_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      local[lane] += Op::term(query[j + lane], row[j + lane]);
    }
  }
  for (std::size_t lane = 0; j < count; ++j, ++lane) local[lane] += Op::term(query[j], row[j]);
  sums = local;
}

// `query` null: the row itself takes its place.
template <class Op>
double exact(const float* query, const Rows& rows, std::size_t row) {
  Lanes sums{};
  alignas(64) float wide[kChunk];
  const std::size_t bytes = element_bytes(rows.type);
  for (std::size_t first = 0; first < rows.dim; first += kChunk) {
    const auto count = std::min<std::size_t>(kChunk, rows.dim - first);
    const Rows part{rows.row(row) + first * bytes, 1, rows.stride_bytes,
                    static_cast<std::uint32_t>(count), rows.type};
    widen(part, 0, wide);
    accumulate<Op>(query == nullptr ? wide : query + first, wide, count, sums);
  }
  return joined(sums);
}

}  // namespace

double squared_l2_exact(const float* query, const Rows& rows, std::size_t row) {
  return exact<Difference>(query, rows, row);
}

double inner_product_exact(const float* query, const Rows& rows, std::size_t row) {
  return exact<Product>(query, rows, row);
}

double squared_norm_exact(const float* query, std::uint32_t dim) {
  Lanes sums{};
  accumulate<Product>(query, query, dim, sums);
  return joined(sums);
}

double squared_norm_exact(const Rows& rows, std::size_t row) {
  return exact<Product>(nullptr, rows, row);
}

}  // namespace varve::kernels
