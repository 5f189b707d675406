#include "ann/clustering.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ann/probe.h"

namespace varve::ann {
namespace {

constexpr std::size_t kSampleRowsPerCluster = 64;
constexpr std::size_t kHeldOutQueries = 400;
constexpr std::uint32_t kHeldOutNeighbors = 100;
constexpr std::size_t kBlockRows = 4096;

template <class Visit>
void for_blocks(const kernels::Rows& rows, Metric metric, Visit visit) {
  std::vector<float> block(std::min(kBlockRows, rows.count) * rows.dim);
  for (std::size_t first = 0; first < rows.count; first += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, rows.count - first);
    widen_for_ranking(rows.sub(first, count), metric, block.data());
    visit(kernels::MatrixView{block.data(), count, rows.dim}, first);
  }
}

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

}  // namespace

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

std::vector<float> spread_rows(const kernels::Rows& rows, Metric metric, std::size_t count) {
  std::vector<float> out(count * rows.dim);
  for (std::size_t i = 0; i < count; ++i) {
    widen_for_ranking(rows.sub(i * rows.count / count, 1), metric, out.data() + i * rows.dim);
  }
  return out;
}

Clustering cluster_rows(const kernels::Rows& rows, Metric metric, const ClusteredOptions& options,
                        base::Pool& pool) {
  Clustering made;
  made.starts = {0};
  if (rows.count == 0) return made;
  const std::uint32_t clusters =
      options.clusters != 0 ? options.clusters : cluster_count(rows.count, rows.dim);
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

}  // namespace varve::ann
