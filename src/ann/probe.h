// How many clusters a query visits: fitted when the index is built, chosen per query.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ann/kmeans.h"
#include "base/pool.h"
#include "format/manifest.h"
#include "kernels/top_k.h"
#include "varve/types.h"

namespace varve::ann {

// Visit clusters in the order of rank while index < nprobe and
// distance <= ratio * max(nearest distance, tiny) (plain distances, not squared), but at least
// `nprobe_min`. ratio == infinity: no bound.
struct ProbePlan {
  std::uint32_t nprobe = 1;
  std::uint32_t nprobe_min = 1;
  float ratio = 0;
};

// From the fitted table; the nearest point at or above `recall` and `k` decides, interpolated where
// that is sound. An empty table or recall >= 1: all `clusters`.
ProbePlan choose_probes(std::span<const format::ProbePoint> table, double recall, std::uint32_t k,
                        std::uint32_t clusters);

// Number of leading entries of `ranked` that the plan visits.
std::size_t probes_of(const ProbePlan& plan, std::span<const CentroidSet::Ranked> ranked);

// Collects the true nearest rows of some queries while the rows stream by. Queries are float32
// (unit length under cosine, where Euclidean distance ranks like the angle). A row whose id equals
// the query's own `self` is not its neighbour (kNoSelf: none). Not thread-safe; scan uses the pool.
class TrueNeighbors {
 public:
  static constexpr std::uint64_t kNoSelf = ~std::uint64_t{0};
  TrueNeighbors(std::vector<float> queries, std::vector<std::uint64_t> self, std::uint32_t dim,
                std::uint32_t k);
  // Rows first_id, first_id + 1, ... float32.
  void scan(kernels::MatrixView rows, std::uint64_t first_id, base::Pool& pool);
  std::size_t query_count() const { return self_.size(); }
  std::span<const float> query(std::size_t i) const;
  bool is_row(std::size_t i) const { return self_[i] != kNoSelf; }
  // Nearest first, up to k ids.
  std::vector<std::uint64_t> take(std::size_t i);

 private:
  std::vector<float> queries_;
  std::vector<std::uint64_t> self_;
  std::vector<float> norms_;
  std::vector<kernels::TopK> best_;
  std::uint32_t dim_;
};

// One held-out query with the cluster (index in the set) of each of its true neighbours, nearest
// first.
struct HeldOut {
  std::vector<float> query;
  std::vector<std::uint32_t> neighbor_clusters;
  bool mixed = false;  // made by add_mixed_queries: unlike the rows
};

// Appends one query for every fourth one held: the middle between it and another (of unit length
// under cosine), and kNoSelf for it. Such queries lie where few rows are, as questions put to
// passages do, and a plan fitted to rows alone finds too little for them.
void add_mixed_queries(std::uint32_t dim, Metric metric, std::vector<float>& queries,
                       std::vector<std::uint64_t>& self);

// Fits the table for ten shares of recall from 0.80 to 0.999 and k 10 and 100: for each the
// cheapest plan (in mean rows, from `cluster_rows`) that finds the share on the held-out
// queries with a margin for queries that are not like the rows.
std::vector<format::ProbePoint> fit_probes(const CentroidSet& centroids,
                                           std::span<const std::uint32_t> cluster_rows,
                                           std::span<const HeldOut> held_out, base::Pool& pool);

}  // namespace varve::ann
