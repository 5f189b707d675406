#include "ann/stored_rows.h"

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

Result<Query> make_query(std::span<const float> values, std::uint32_t k, const StoredRows& rows) {
  if (k == 0) return fail(ErrorKind::invalid, "k is 0");
  return make_query(values, rows.rows().dim, rows.metric());
}

}  // namespace varve::ann
