// A copy of rows in the type they came in, and the search over a part of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ann/exact.h"
#include "ann/vector_search.h"
#include "base/bytes.h"
#include "kernels/rows.h"

namespace varve::ann {

// Immutable after construction; thread-safe.
class StoredRows {
 public:
  // Row i of the copy is row order[i] of `rows`; an empty order keeps them as they are.
  StoredRows(const kernels::Rows& rows, Metric metric, std::span<const std::uint64_t> order);

  const kernels::Rows& rows() const { return rows_; }
  Metric metric() const { return metric_; }
  // Asks for the bytes of a row, which will be compared soon.
  void fetch(std::uint32_t position) const {
    const std::byte* const row = rows_.row(position);
    for (std::size_t at = 0; at < rows_.stride_bytes; at += 64) __builtin_prefetch(row + at);
  }
  // One over the length of each row under cosine, else null.
  const float* inverse() const { return inverse_.empty() ? nullptr : inverse_.data(); }
  std::size_t resident_bytes() const { return buffer_.size() + inverse_.size() * sizeof(float); }
  // Scores rows [first, first + count); ids are positions in the copy.
  void scan(const Query& query, std::size_t first, std::size_t count, Contenders& found) const;
  // The k nearest of `contenders` by double, ties by ids[position]; empty ids: by position.
  std::vector<Neighbor> order(const Query& query, std::span<const std::uint64_t> contenders,
                              std::uint32_t k, std::span<const std::uint64_t> ids) const;

 private:
  base::Buffer buffer_;
  kernels::Rows rows_;
  Metric metric_;
  std::vector<float> inverse_;  // cosine only
};

// Single rows against one query, by their positions. Whole numbers are compared as such, which is
// exact and faster. One thread; kept from query to query for its memory.
class RowComparison {
 public:
  // Borrows both until the next call.
  void set(const StoredRows& rows, const Query& query);
  // out[i]: the distance of row positions[i] in float32, within float_error().
  void distances(std::span<const std::uint32_t> positions, float* out);
  // The same in double, as exact_distance() gives it.
  void exact_distances(std::span<const std::uint32_t> positions, double* out);

 private:
  const StoredRows* rows_ = nullptr;
  const Query* query_ = nullptr;
  std::vector<std::int16_t> whole_;  // the query, or empty
  std::vector<std::uint32_t> sums_;
};

// `invalid` also if k is 0.
Result<Query> make_query(std::span<const float> values, std::uint32_t k, const StoredRows& rows);

}  // namespace varve::ann
