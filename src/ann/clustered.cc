#include "ann/clustering.h"
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

}  // namespace

std::unique_ptr<VectorSearch> make_clustered(const kernels::Rows& rows, Metric metric,
                                             const ClusteredOptions& options, base::Pool& pool) {
  return std::make_unique<ClusteredSearch>(rows, metric, cluster_rows(rows, metric, options, pool));
}

}  // namespace varve::ann
