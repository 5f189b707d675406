#include <algorithm>

#include "ann/probe.h"
#include "base/assert.h"

namespace varve::ann {
namespace {

constexpr std::size_t kBlockQueries = 64;
constexpr std::size_t kChunkRows = 1024;

}  // namespace

TrueNeighbors::TrueNeighbors(std::vector<float> queries, std::vector<std::uint64_t> self,
                             std::uint32_t dim, std::uint32_t k)
    : queries_(std::move(queries)), self_(std::move(self)), dim_(dim) {
  VARVE_ASSERT(queries_.size() == self_.size() * dim_);
  norms_.resize(self_.size());
  kernels::squared_norm(kernels::rows_of(queries_.data(), self_.size(), dim_), norms_.data());
  best_.assign(self_.size(), kernels::TopK(k));
}

std::span<const float> TrueNeighbors::query(std::size_t i) const {
  return std::span<const float>(queries_).subspan(i * dim_, dim_);
}

void TrueNeighbors::scan(kernels::MatrixView rows, std::uint64_t first_id, base::Pool& pool) {
  std::vector<float> row_norms(rows.count);
  kernels::squared_norm(kernels::Rows{reinterpret_cast<const std::byte*>(rows.data), rows.count,
                                      rows.stride * sizeof(float), dim_, kernels::RowType::f32},
                        row_norms.data());
  // One task owns its queries, so their heaps need no lock.
  const auto block = [&](std::size_t b) {
    const std::size_t first = b * kBlockQueries;
    const std::size_t count = std::min(kBlockQueries, self_.size() - first);
    thread_local std::vector<float> products;
    products.resize(kBlockQueries * kChunkRows);
    for (std::size_t r = 0; r < rows.count; r += kChunkRows) {
      const std::size_t width = std::min(kChunkRows, rows.count - r);
      kernels::inner_product_matrix({queries_.data() + first * dim_, count, dim_},
                                    {rows.data + r * rows.stride, width, rows.stride}, dim_,
                                    products.data(), width);
      for (std::size_t i = 0; i < count; ++i) {
        auto& best = best_[first + i];
        const float* product = products.data() + i * width;
        for (std::size_t j = 0; j < width; ++j) {
          // Rounding may take the distance of equal vectors below zero.
          const float distance =
              std::max(0.0F, norms_[first + i] + row_norms[r + j] - 2 * product[j]);
          if (distance > best.threshold()) continue;
          const std::uint64_t id = first_id + r + j;
          if (id != self_[first + i]) best.add(distance, id);
        }
      }
    }
  };
  pool.parallel_for((self_.size() + kBlockQueries - 1) / kBlockQueries, block);
}

std::vector<std::uint64_t> TrueNeighbors::take(std::size_t i) {
  std::vector<std::uint64_t> ids;
  for (const auto& scored : best_[i].take()) ids.push_back(scored.id);
  return ids;
}

}  // namespace varve::ann
