// Rows in clusters, in memory: what the clustered searches are built from.
#pragma once

#include <cstdint>
#include <vector>

#include "ann/kmeans.h"
#include "ann/vector_search.h"
#include "base/pool.h"
#include "format/manifest.h"
#include "kernels/rows.h"

namespace varve::ann {

struct Clustering {
  CentroidSet centroids;
  std::vector<std::uint32_t> cluster_of;
  std::vector<std::size_t> starts;   // of each cluster in `order`, and the end
  std::vector<std::uint64_t> order;  // row numbers, cluster by cluster
  std::vector<format::ProbePoint> probe_table;
};

// `count` rows spread over all of `rows`, as clusters see them. REQUIRES: there are so many.
std::vector<float> spread_rows(const kernels::Rows& rows, Metric metric, std::size_t count);

// Deterministic for a seed at any width of the pool.
Clustering cluster_rows(const kernels::Rows& rows, Metric metric, const ClusteredOptions& options,
                        base::Pool& pool);

// Rows as floats, of unit length under cosine: what centroids are trained on and assigned by.
void widen_for_ranking(const kernels::Rows& rows, Metric metric, float* out);

}  // namespace varve::ann
