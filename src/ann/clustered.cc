#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "ann/kmeans.h"
#include "ann/probe.h"
#include "ann/stored_rows.h"
#include "ann/vector_search.h"

namespace varve::ann {
namespace {

constexpr std::size_t kSampleRowsPerCluster = 64;
constexpr std::size_t kHeldOutQueries = 400;
constexpr std::uint32_t kHeldOutNeighbors = 100;
constexpr std::size_t kBlockRows = 4096;

// Rows as floats, of unit length under cosine: what centroids are trained on and assigned by.
void widen_for_ranking(const kernels::Rows& rows, Metric metric, float* out) {
  kernels::widen_all(rows, out, rows.dim);
  if (metric != Metric::cosine) return;
  for (std::size_t i = 0; i < rows.count; ++i) {
    float* row = out + i * rows.dim;
    const double norm = std::sqrt(kernels::squared_norm_exact(row, rows.dim));
    if (norm == 0) continue;
    for (std::uint32_t j = 0; j < rows.dim; ++j) {
      row[j] = static_cast<float>(static_cast<double>(row[j]) / norm);
    }
  }
}

// Rows first, first + step, ... of `rows`, spread over all of it.
std::vector<float> spread_rows(const kernels::Rows& rows, Metric metric, std::size_t count) {
  std::vector<float> out(count * rows.dim);
  for (std::size_t i = 0; i < count; ++i) {
    widen_for_ranking(rows.sub(i * rows.count / count, 1), metric, out.data() + i * rows.dim);
  }
  return out;
}

template <class Visit>
void for_blocks(const kernels::Rows& rows, Metric metric, Visit visit) {
  std::vector<float> block(std::min(kBlockRows, rows.count) * rows.dim);
  for (std::size_t first = 0; first < rows.count; first += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, rows.count - first);
    widen_for_ranking(rows.sub(first, count), metric, block.data());
    visit(kernels::MatrixView{block.data(), count, rows.dim}, first);
  }
}

struct Clustering {
  CentroidSet centroids;
  std::vector<std::uint32_t> cluster_of;
  std::vector<std::size_t> starts;   // of each cluster in `order`, and the end
  std::vector<std::uint64_t> order;  // row numbers, cluster by cluster
  std::vector<format::ProbePoint> probe_table;
};

void fit(const kernels::Rows& rows, Metric metric, base::Pool& pool, Clustering& made) {
  const std::size_t count = std::min(kHeldOutQueries, rows.count);
  std::vector<std::uint64_t> self;
  for (std::size_t i = 0; i < count; ++i) self.push_back(i * rows.count / count);
  auto queries = spread_rows(rows, metric, count);
  add_mixed_queries(rows.dim, metric, queries, self);
  TrueNeighbors search(std::move(queries), std::move(self), rows.dim, kHeldOutNeighbors);
  for_blocks(rows, metric, [&](kernels::MatrixView block, std::size_t first) {
    search.scan(block, first, pool);
  });
  std::vector<HeldOut> held_out;
  for (std::size_t i = 0; i < search.query_count(); ++i) {
    HeldOut one{{search.query(i).begin(), search.query(i).end()}, {}, !search.is_row(i)};
    for (const auto id : search.take(i)) one.neighbor_clusters.push_back(made.cluster_of[id]);
    held_out.push_back(std::move(one));
  }
  std::vector<std::uint32_t> cluster_rows;
  for (std::size_t c = 0; c < made.centroids.size(); ++c) {
    cluster_rows.push_back(static_cast<std::uint32_t>(made.starts[c + 1] - made.starts[c]));
  }
  made.probe_table = fit_probes(made.centroids, cluster_rows, held_out, pool);
}

Clustering cluster(const kernels::Rows& rows, Metric metric, const ClusteredOptions& options,
                   base::Pool& pool) {
  Clustering made;
  made.starts = {0};
  if (rows.count == 0) return made;
  const std::uint32_t clusters =
      options.clusters != 0 ? options.clusters : cluster_count(rows.count);
  const std::size_t sample_rows =
      std::min(rows.count, std::size_t{clusters} * kSampleRowsPerCluster);
  const auto sample = spread_rows(rows, metric, sample_rows);
  made.centroids = CentroidSet(kmeans({sample.data(), sample_rows, rows.dim}, rows.dim,
                                      {.clusters = clusters, .seed = options.seed}, pool),
                               rows.dim);
  made.cluster_of.resize(rows.count);
  for_blocks(rows, metric, [&](kernels::MatrixView block, std::size_t first) {
    made.centroids.assign(block, std::span(made.cluster_of).subspan(first, block.count), {}, pool);
  });
  made.starts.assign(made.centroids.size() + 1, 0);
  for (const std::uint32_t c : made.cluster_of) ++made.starts[c + 1];
  std::partial_sum(made.starts.begin(), made.starts.end(), made.starts.begin());
  made.order.resize(rows.count);
  auto next = made.starts;
  for (std::uint64_t i = 0; i < rows.count; ++i) made.order[next[made.cluster_of[i]]++] = i;
  if (made.centroids.size() > 1) fit(rows, metric, pool, made);
  return made;
}

class ClusteredSearch final : public VectorSearch {
 public:
  ClusteredSearch(const kernels::Rows& rows, Metric metric, Clustering made)
      : rows_(rows, metric, made.order),
        centroids_(std::move(made.centroids)),
        starts_(std::move(made.starts)),
        ids_(std::move(made.order)),
        probe_table_(std::move(made.probe_table)) {}

  Result<std::vector<Neighbor>> search(std::span<const float> values, std::uint32_t k,
                                       const Effort& effort) const override {
    VARVE_TRY(const Query query, make_query(values, k, rows_));
    Contenders found(k, float_error(metric(), dim()));
    const ProbePlan plan = plan_of(effort, k);
    if (plan.nprobe_min >= centroids_.size()) {
      rows_.scan(query, 0, rows_.rows().count, found);
    } else {
      scan_clusters(query, plan, found);
    }
    return rows_.order(query, found.take(), k, ids_);
  }

  std::uint64_t size() const override { return rows_.rows().count; }
  std::uint32_t dim() const override { return rows_.rows().dim; }
  Metric metric() const override { return rows_.metric(); }
  std::size_t resident_bytes() const override {
    return rows_.resident_bytes() + centroids_.values().size_bytes() +
           starts_.size() * sizeof(std::size_t) + ids_.size() * sizeof(std::uint64_t);
  }

 private:
  ProbePlan plan_of(const Effort& effort, std::uint32_t k) const {
    const auto clusters = static_cast<std::uint32_t>(centroids_.size());
    if (effort.exact) return {clusters, clusters, 0};
    if (effort.nprobe != 0) return {effort.nprobe, effort.nprobe, 0};
    return choose_probes(probe_table_, effort.recall, k, clusters);
  }

  void scan_clusters(const Query& query, const ProbePlan& plan, Contenders& found) const {
    thread_local std::vector<CentroidSet::Ranked> ranked;
    centroids_.rank(query.for_ranking(), plan.nprobe, ranked);
    const std::size_t probes = probes_of(plan, ranked);
    for (std::size_t i = 0; i < probes; ++i) {
      const std::size_t first = starts_[ranked[i].index];
      rows_.scan(query, first, starts_[ranked[i].index + 1] - first, found);
    }
  }

  StoredRows rows_;
  CentroidSet centroids_;
  std::vector<std::size_t> starts_;
  std::vector<std::uint64_t> ids_;  // row number of each position
  std::vector<format::ProbePoint> probe_table_;
};

}  // namespace

std::unique_ptr<VectorSearch> make_clustered(const kernels::Rows& rows, Metric metric,
                                             const ClusteredOptions& options, base::Pool& pool) {
  return std::make_unique<ClusteredSearch>(rows, metric, cluster(rows, metric, options, pool));
}

}  // namespace varve::ann
