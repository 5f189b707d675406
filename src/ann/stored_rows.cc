#include "ann/stored_rows.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"

namespace varve::ann {
namespace {

// Distances of one block stay in the first-level cache until they are compared.
constexpr std::size_t kBlockRows = 512;

}  // namespace

StoredRows::StoredRows(const kernels::Rows& rows, Metric metric,
                       std::span<const std::uint64_t> order)
    : metric_(metric) {
  VARVE_ASSERT(order.empty() || order.size() == rows.count);
  const std::size_t row_bytes = rows.dim * kernels::element_bytes(rows.type);
  buffer_ = base::Buffer(rows.count * row_bytes);
  for (std::size_t i = 0; i < rows.count; ++i) {
    const std::size_t from = order.empty() ? i : order[i];
    std::memcpy(buffer_.data() + i * row_bytes, rows.row(from), row_bytes);
  }
  rows_ = {buffer_.data(), rows.count, row_bytes, rows.dim, rows.type};
  if (metric_ == Metric::cosine) inverse_ = inverse_norms(rows_);
}

void StoredRows::scan(const Query& query, std::size_t first, std::size_t count,
                      Contenders& found) const {
  VARVE_DCHECK(first + count <= rows_.count);
  std::array<float, kBlockRows> distances;
  for (std::size_t at = first; at < first + count; at += kBlockRows) {
    const std::size_t width = std::min(kBlockRows, first + count - at);
    const float* inverse = inverse_.empty() ? nullptr : inverse_.data() + at;
    float_distances(query, rows_.sub(at, width), inverse, distances.data());
    found.add_block({distances.data(), width}, at, nullptr);
  }
}

std::vector<Neighbor> StoredRows::order(const Query& query,
                                        std::span<const std::uint64_t> contenders, std::uint32_t k,
                                        std::span<const std::uint64_t> ids) const {
  return order_exactly<Neighbor>(
      contenders, k,
      [&](std::uint64_t at) {
        return Neighbor{exact_distance(query, rows_, at), ids.empty() ? at : ids[at]};
      },
      [](const Neighbor& a, const Neighbor& b) {
        return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
      });
}

void RowComparison::set(const StoredRows& rows, const Query& query) {
  rows_ = &rows;
  query_ = &query;
  whole_.clear();
  const auto is_byte = [](kernels::RowType type) {
    return type == kernels::RowType::u8 || type == kernels::RowType::i8;
  };
  if (rows.metric() != Metric::euclidean || !is_byte(rows.rows().type)) return;
  if (!is_byte(kernels::narrowest_type(query.values))) return;
  whole_.resize(query.values.size());
  std::transform(query.values.begin(), query.values.end(), whole_.begin(),
                 [](float value) { return static_cast<std::int16_t>(value); });
}

void RowComparison::distances(std::span<const std::uint32_t> positions, float* out) {
  if (!whole_.empty()) {
    sums_.resize(positions.size());
    kernels::squared_l2_whole_at(whole_.data(), rows_->rows(), positions, sums_.data());
    std::transform(sums_.begin(), sums_.end(), out,
                   [](std::uint32_t sum) { return static_cast<float>(sum); });
    return;
  }
  if (rows_->metric() == Metric::euclidean) {
    kernels::squared_l2_at(query_->values.data(), rows_->rows(), positions, out);
    return;
  }
  kernels::inner_product_at(query_->unit.data(), rows_->rows(), positions, out);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    out[i] = 1 - out[i] * rows_->inverse()[positions[i]];
  }
}

void RowComparison::exact_distances(std::span<const std::uint32_t> positions, double* out) {
  if (whole_.empty()) {
    for (std::size_t i = 0; i < positions.size(); ++i) {
      out[i] = exact_distance(*query_, rows_->rows(), positions[i]);
    }
    return;
  }
  sums_.resize(positions.size());
  kernels::squared_l2_whole_at(whole_.data(), rows_->rows(), positions, sums_.data());
  std::copy(sums_.begin(), sums_.end(), out);
}

Result<Query> make_query(std::span<const float> values, std::uint32_t k, const StoredRows& rows) {
  if (k == 0) return fail(ErrorKind::invalid, "k is 0");
  return make_query(values, rows.rows().dim, rows.metric());
}

}  // namespace varve::ann
