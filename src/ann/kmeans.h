// Training of centroids and assignment of rows to them. Under cosine the caller passes rows of unit
// length; centroids are then plain means and distances Euclidean, which ranks like the angle.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/pool.h"
#include "kernels/distance.h"

namespace varve::ann {

// Clusters for `rows` rows: 0.07 * rows^0.75 up to a million if they have sign codes, which cost
// no more to scan than centroids do to rank, 0.2 * rows^0.75 if they have not; from there like
// the square root, since training and assignment cost rows times clusters. More than the square
// root because a growing part of the neighbours lies behind borders
// (docs/decisions/0010-number-of-clusters.md, 0019-fewer-clusters-with-codes.md). 1 below
// kFlatRowsMax, where a scan is faster than any detour.
inline constexpr std::uint64_t kFlatRowsMax = 4096;
std::uint32_t cluster_count(std::uint64_t rows, std::uint32_t dim);
// Rows that a cluster of an index with `rows` rows should have: split above three times,
// dissolve below a quarter of it (docs/decisions/0021-clusters-kept-in-shape.md).
std::uint64_t cluster_rows_target(std::uint64_t rows, std::uint32_t dim);

struct KMeansOptions {
  std::uint32_t clusters = 1;
  std::uint32_t iterations_max = 10;  // stops earlier when few rows change sides
  std::uint64_t seed = 1;
};

// Centroids, clusters * dim, row-major; none is empty or NaN even if rows repeat or are fewer than
// clusters (then fewer come back). Uses at most the sample given: the caller samples. Deterministic
// for a seed at any pool width. Single-sample distances are float32.
std::vector<float> kmeans(kernels::MatrixView sample, std::uint32_t dim,
                          const KMeansOptions& options, base::Pool& pool);

// Centroids with what assignment and ranking need beside them. Immutable, thread-safe.
class CentroidSet {
 public:
  CentroidSet() = default;
  CentroidSet(std::vector<float> values, std::uint32_t dim);

  std::size_t size() const { return count_; }
  std::uint32_t dim() const { return dim_; }
  std::span<const float> values() const { return values_; }
  std::span<const float> centroid(std::size_t i) const;

  // nearest[i]: index of the nearest centroid of rows[i]; distances[i] (may be empty): squared
  // distance to it. Rows float32.
  void assign(kernels::MatrixView rows, std::span<std::uint32_t> nearest,
              std::span<float> distances, base::Pool& pool) const;

  struct Ranked {
    float distance = 0;  // squared Euclidean to the query
    std::uint32_t index = 0;
  };
  // The `count` nearest centroids, nearest first. `out` is reused by the caller: no allocation once
  // it is large enough.
  void rank(const float* query, std::size_t count, std::vector<Ranked>& out) const;

 private:
  std::vector<float> values_;
  std::vector<float> half_norms_;
  std::size_t count_ = 0;
  std::uint32_t dim_ = 0;
};

// An order of the centroids in which neighbours in space are neighbours in the list, so that
// clusters that are probed together lie together in storage. order[i] = old index.
std::vector<std::uint32_t> locality_order(const CentroidSet& centroids, std::uint64_t seed,
                                          base::Pool& pool);

}  // namespace varve::ann
