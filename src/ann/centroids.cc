#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "ann/kmeans.h"
#include "base/assert.h"

namespace varve::ann {
namespace {

// 128 rows times 1,024 centroids are 512 KiB of scores: they stay in the second-level cache while
// the product is long enough to run at its full rate.
constexpr std::size_t kBlockRows = 128;
constexpr std::size_t kChunkCentroids = 1024;
constexpr std::size_t kLanes = 16;
constexpr std::size_t kHeldMax = 8;

// The centroids that one row may be nearest to, given that scores carry an error of `slack / 2`.
struct Contenders {
  std::array<float, kHeldMax> scores;
  std::array<std::uint32_t, kHeldMax> indexes;
  std::size_t count = 0;
  float best = std::numeric_limits<float>::infinity();
  float slack = 0;
  bool overflow = false;  // more than kHeldMax: every centroid must be compared exactly

  void add(float score, std::uint32_t index) {
    if (count == kHeldMax) drop_losers();
    if (count == kHeldMax) {
      overflow = true;
      return;
    }
    scores[count] = score;
    indexes[count] = index;
    ++count;
  }

  void drop_losers() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (!(scores[i] <= best + slack)) continue;
      scores[kept] = scores[i];
      indexes[kept] = indexes[i];
      ++kept;
    }
    count = kept;
  }
};

float least(const float* values, std::size_t count) {
  std::array<float, kLanes> lanes;
  lanes.fill(std::numeric_limits<float>::infinity());
  std::size_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      lanes[l] = values[j + l] < lanes[l] ? values[j + l] : lanes[l];
    }
  }
  for (; j < count; ++j) lanes[0] = values[j] < lanes[0] ? values[j] : lanes[0];
  return *std::min_element(lanes.begin(), lanes.end());
}

// Turns dot products into scores (half the squared norm less the product: ranks like the distance)
// and keeps those within the error of the best.
void offer(float* products, const float* half_norms, std::size_t count, std::size_t first,
           Contenders& held) {
  for (std::size_t j = 0; j < count; ++j) products[j] = half_norms[j] - products[j];
  held.best = std::min(held.best, least(products, count));
  const float limit = held.best + held.slack;
  for (std::size_t j = 0; j < count; j += kLanes) {
    const std::size_t end = std::min(count, j + kLanes);
    unsigned any = 0;
    for (std::size_t l = j; l < end; ++l) any |= static_cast<unsigned>(products[l] <= limit);
    if (any == 0) continue;
    for (std::size_t l = j; l < end; ++l) {
      if (products[l] <= limit) held.add(products[l], static_cast<std::uint32_t>(first + l));
    }
  }
}

struct Scratch {
  std::vector<float> products;
  std::vector<float> norms;
  std::vector<float> distances;
  std::vector<Contenders> contenders;
};

// Grows with the largest use of the thread and is kept: about a megabyte.
Scratch& scratch() {
  thread_local Scratch held;
  return held;
}

kernels::Rows as_rows(kernels::MatrixView view, std::uint32_t dim) {
  return kernels::Rows{reinterpret_cast<const std::byte*>(view.data), view.count,
                       view.stride * sizeof(float), dim, kernels::RowType::f32};
}

CentroidSet::Ranked nearest_of_all(const CentroidSet& set, const float* row) {
  auto& distances = scratch().distances;
  distances.resize(set.size());
  kernels::squared_l2(row, kernels::rows_of(set.values().data(), set.size(), set.dim()),
                      distances.data());
  CentroidSet::Ranked best{distances[0], 0};
  for (std::uint32_t i = 1; i < set.size(); ++i) {
    if (distances[i] < best.distance) best = {distances[i], i};
  }
  return best;
}

// The nearest by the exact kernel among the contenders; smaller index on equal distance.
CentroidSet::Ranked settle(const CentroidSet& set, const float* row, Contenders& held,
                           bool distance_wanted) {
  held.drop_losers();
  if (held.overflow || held.count == 0) return nearest_of_all(set, row);
  if (held.count == 1 && !distance_wanted) return {0, held.indexes[0]};
  CentroidSet::Ranked best{std::numeric_limits<float>::infinity(), held.indexes[0]};
  for (std::size_t i = 0; i < held.count; ++i) {
    float distance = 0;
    const float* centroid = set.centroid(held.indexes[i]).data();
    kernels::squared_l2(row, kernels::rows_of(centroid, 1, set.dim()), &distance);
    if (distance < best.distance) best = {distance, held.indexes[i]};
  }
  return best;
}

}  // namespace

CentroidSet::CentroidSet(std::vector<float> values, std::uint32_t dim)
    : values_(std::move(values)), count_(dim == 0 ? 0 : values_.size() / dim), dim_(dim) {
  VARVE_ASSERT(values_.size() == count_ * dim_);
  half_norms_.resize(count_);
  kernels::squared_norm(kernels::rows_of(values_.data(), count_, dim_), half_norms_.data());
  for (float& norm : half_norms_) norm *= 0.5F;
}

std::span<const float> CentroidSet::centroid(std::size_t i) const {
  VARVE_DCHECK(i < count_);
  return std::span<const float>(values_).subspan(i * dim_, dim_);
}

void CentroidSet::assign(kernels::MatrixView rows, std::span<std::uint32_t> nearest,
                         std::span<float> distances, base::Pool& pool) const {
  VARVE_ASSERT(nearest.size() == rows.count);
  VARVE_ASSERT(distances.empty() || distances.size() == rows.count);
  if (rows.count == 0) return;
  VARVE_ASSERT(count_ > 0);
  const float half_norm_max = *std::max_element(half_norms_.begin(), half_norms_.end());
  const float norm_max = std::sqrt(2 * half_norm_max);
  // Of the products and of the norms, for the two that are compared.
  const float error = kernels::matrix_error(dim_) + kernels::distance_error(dim_);
  const auto block = [&](std::size_t b) {
    const std::size_t first = b * kBlockRows;
    const std::size_t count = std::min(kBlockRows, rows.count - first);
    const kernels::MatrixView part{rows.data + first * rows.stride, count, rows.stride};
    auto& held = scratch();
    held.products.resize(kBlockRows * std::min(kChunkCentroids, count_));
    held.norms.resize(count);
    held.contenders.assign(count, Contenders{});
    kernels::squared_norm(as_rows(part, dim_), held.norms.data());
    for (std::size_t i = 0; i < count; ++i) {
      held.contenders[i].slack =
          2 * error * (std::sqrt(held.norms[i]) * norm_max + 2 * half_norm_max);
    }
    for (std::size_t c = 0; c < count_; c += kChunkCentroids) {
      const std::size_t width = std::min(kChunkCentroids, count_ - c);
      kernels::inner_product_matrix(part, {values_.data() + c * dim_, width, dim_}, dim_,
                                    held.products.data(), width);
      for (std::size_t i = 0; i < count; ++i) {
        offer(held.products.data() + i * width, half_norms_.data() + c, width, c,
              held.contenders[i]);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Ranked best =
          settle(*this, part.data + i * part.stride, held.contenders[i], !distances.empty());
      nearest[first + i] = best.index;
      if (!distances.empty()) distances[first + i] = best.distance;
    }
  };
  pool.parallel_for((rows.count + kBlockRows - 1) / kBlockRows, block);
}

void CentroidSet::rank(const float* query, std::size_t count, std::vector<Ranked>& out) const {
  auto& distances = scratch().distances;
  distances.resize(count_);
  kernels::squared_l2(query, kernels::rows_of(values_.data(), count_, dim_), distances.data());
  out.resize(count_);
  for (std::uint32_t i = 0; i < count_; ++i) out[i] = {distances[i], i};
  const auto nearer = [](const Ranked& a, const Ranked& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.index < b.index;
  };
  if (count < count_) {
    std::nth_element(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count), out.end(),
                     nearer);
    out.resize(count);
  }
  std::sort(out.begin(), out.end(), nearer);
}

}  // namespace varve::ann
