#include <algorithm>

#include "ann/clustering.h"
#include "ann/exact.h"
#include "ann/probe.h"
#include "ann/stored_rows.h"
#include "ann/vector_search.h"

namespace varve::ann {
namespace {

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

// One search for the centroids, and one for the rows of each cluster.
class ClusteredGraphs final : public VectorSearch {
 public:
  ClusteredGraphs(const kernels::Rows& rows, Metric metric, const HnswOptions& options,
                  Clustering made, base::Pool& pool)
      : metric_(metric),
        dim_(rows.dim),
        starts_(std::move(made.starts)),
        ids_(std::move(made.order)),
        probe_table_(std::move(made.probe_table)) {
    // Unit vectors under cosine, whose Euclidean distance ranks like the angle.
    centroids_ =
        make_flat(kernels::rows_of(made.centroids.values().data(), made.centroids.size(), rows.dim),
                  Metric::euclidean);
    const StoredRows ordered(rows, metric, ids_);
    clusters_.resize(made.centroids.size());
    pool.parallel_for(clusters_.size(), [&](std::size_t c) {
      const std::size_t count = starts_[c + 1] - starts_[c];
      clusters_[c] = make_hnsw(ordered.rows().sub(starts_[c], count), metric, options);
    });
  }

  Result<std::vector<Neighbor>> search(std::span<const float> values, std::uint32_t k,
                                       const Effort& effort) const override {
    if (k == 0) return fail(ErrorKind::invalid, "k is 0");
    VARVE_TRY(const Query query, make_query(values, dim_, metric_));
    std::vector<Neighbor> found;
    if (clusters_.empty()) return found;
    VARVE_TRY(const auto visited, choose_clusters(query, k, effort));
    for (const auto& visit : visited) {
      const std::size_t first = starts_[visit.index];
      if (starts_[visit.index + 1] == first) continue;
      VARVE_TRY(const auto inside, clusters_[visit.index]->search(values, k, effort));
      for (const Neighbor& one : inside) found.push_back({one.distance, ids_[first + one.id]});
    }
    const auto end =
        found.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(k, found.size()));
    std::partial_sort(found.begin(), end, found.end(), [](const Neighbor& a, const Neighbor& b) {
      return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
    });
    found.erase(end, found.end());
    return found;
  }

  std::uint64_t size() const override { return ids_.size(); }
  std::uint32_t dim() const override { return dim_; }
  Metric metric() const override { return metric_; }
  std::size_t resident_bytes() const override {
    std::size_t bytes = centroids_->resident_bytes() + starts_.size() * sizeof(std::size_t) +
                        ids_.size() * sizeof(std::uint64_t);
    for (const auto& cluster : clusters_) bytes += cluster->resident_bytes();
    return bytes;
  }

 private:
  Result<std::vector<CentroidSet::Ranked>> choose_clusters(const Query& query, std::uint32_t k,
                                                           const Effort& effort) const {
    const auto count = static_cast<std::uint32_t>(clusters_.size());
    ProbePlan plan{count, count, 0};
    if (!effort.exact) {
      plan = effort.nprobe != 0 ? ProbePlan{effort.nprobe, effort.nprobe, 0}
                                : choose_probes(probe_table_, effort.recall, k, count);
    }
    const std::span point(query.for_ranking(), dim_);
    VARVE_TRY(const auto near, centroids_->search(point, std::min(plan.nprobe, count), {}));
    std::vector<CentroidSet::Ranked> ranked;
    for (const Neighbor& one : near) {
      ranked.push_back({static_cast<float>(one.distance), static_cast<std::uint32_t>(one.id)});
    }
    ranked.resize(probes_of(plan, ranked));
    return ranked;
  }

  Metric metric_;
  std::uint32_t dim_;
  std::unique_ptr<VectorSearch> centroids_;
  std::vector<std::unique_ptr<VectorSearch>> clusters_;
  std::vector<std::size_t> starts_;
  std::vector<std::uint64_t> ids_;  // row number of each position
  std::vector<format::ProbePoint> probe_table_;
};

}  // namespace

std::unique_ptr<VectorSearch> make_clustered(const kernels::Rows& rows, Metric metric,
                                             const ClusteredOptions& options, base::Pool& pool) {
  auto made = cluster_rows(rows, metric, options, pool);
  if (options.inside == Inside::graph) {
    return std::make_unique<ClusteredGraphs>(rows, metric, options.graph, std::move(made), pool);
  }
  return std::make_unique<ClusteredSearch>(rows, metric, std::move(made));
}

}  // namespace varve::ann
