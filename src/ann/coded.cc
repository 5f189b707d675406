// Clusters whose rows are looked at by their signs first; only what the error bound leaves is
// compared with the rows themselves.
#include <algorithm>
#include <cmath>

#include "ann/clustering.h"
#include "ann/probe.h"
#include "ann/stored_rows.h"
#include "ann/vector_search.h"
#include "base/bytes.h"
#include "kernels/rotation.h"
#include "kernels/sign_codes.h"

namespace varve::ann {
namespace {

using kernels::kSignBlockRows;
using kernels::SignHit;

// The codes of all clusters, each from a block of its own on. Immutable; thread-safe.
class SignSections {
 public:
  SignSections(const StoredRows& rows, const CentroidSet& centroids,
               std::span<const std::size_t> starts, const kernels::Rotation& rotation)
      : block_bytes_(kernels::sign_block_bytes(rotation.padded_dim())) {
    first_blocks_.push_back(0);
    for (std::size_t c = 0; c < centroids.size(); ++c) {
      const std::size_t count = starts[c + 1] - starts[c];
      first_blocks_.push_back(first_blocks_.back() + (count + kSignBlockRows - 1) / kSignBlockRows);
    }
    buffer_ = base::Buffer(first_blocks_.back() * block_bytes_);
    std::fill_n(buffer_.data(), buffer_.size(), std::byte{0});
    for (std::size_t c = 0; c < centroids.size(); ++c) {
      encode(rows, centroids.centroid(c), starts[c], starts[c + 1], rotation,
             buffer_.data() + first_blocks_[c] * block_bytes_);
    }
  }

  const std::byte* blocks(std::size_t cluster) const {
    return buffer_.data() + first_blocks_[cluster] * block_bytes_;
  }
  std::size_t resident_bytes() const {
    return buffer_.size() + first_blocks_.size() * sizeof(first_blocks_[0]);
  }

 private:
  void encode(const StoredRows& rows, std::span<const float> centroid, std::size_t begin,
              std::size_t end, const kernels::Rotation& rotation, std::byte* blocks) const {
    const std::size_t dim = centroid.size();
    std::vector<float> row(dim), rotated(rotation.padded_dim()), rotated_centroid(rotated.size());
    rotation.apply(centroid.data(), rotated_centroid.data());
    for (std::size_t i = begin; i < end; ++i) {
      widen_for_ranking(rows.rows().sub(i, 1), rows.metric(), row.data());
      for (std::size_t j = 0; j < dim; ++j) row[j] -= centroid[j];
      rotation.apply(row.data(), rotated.data());
      const std::size_t place = i - begin;
      kernels::encode_signs(rotated.data(), rotated_centroid.data(), rotation.padded_dim(),
                            place % kSignBlockRows, blocks + place / kSignBlockRows * block_bytes_);
    }
  }

  const std::size_t block_bytes_;
  std::vector<std::size_t> first_blocks_;  // of each cluster, and the end
  base::Buffer buffer_;
};

// Kept from query to query of a thread.
struct Scratch {
  std::vector<CentroidSet::Ranked> ranked;
  std::vector<float> rotated;
  kernels::SignTable table;
  std::vector<SignHit> hits;
};

class CodedSearch final : public VectorSearch {
 public:
  CodedSearch(const kernels::Rows& rows, Metric metric, const ClusteredOptions& options,
              Clustering made)
      : rows_(rows, metric, made.order),
        centroids_(std::move(made.centroids)),
        starts_(std::move(made.starts)),
        ids_(std::move(made.order)),
        probe_table_(std::move(made.probe_table)),
        rotation_(rows.dim, options.seed),
        codes_(rows_, centroids_, starts_, rotation_) {}

  Result<std::vector<Neighbor>> search(std::span<const float> values, std::uint32_t k,
                                       const Effort& effort) const override {
    VARVE_TRY(const Query query, make_query(values, k, rows_));
    Contenders found(k, float_error(metric(), dim()));
    if (effort.exact) {
      rows_.scan(query, 0, rows_.rows().count, found);
    } else {
      scan_clusters(query, k, plan_of(effort, k), found);
    }
    return rows_.order(query, found.take(), k, ids_);
  }

  std::uint64_t size() const override { return rows_.rows().count; }
  std::uint32_t dim() const override { return rows_.rows().dim; }
  Metric metric() const override { return rows_.metric(); }
  std::size_t resident_bytes() const override {
    return rows_.resident_bytes() + codes_.resident_bytes() + rotation_.resident_bytes() +
           centroids_.values().size_bytes() + starts_.size() * sizeof(std::size_t) +
           ids_.size() * sizeof(std::uint64_t);
  }

 private:
  ProbePlan plan_of(const Effort& effort, std::uint32_t k) const {
    const auto clusters = static_cast<std::uint32_t>(centroids_.size());
    if (effort.nprobe != 0) return {effort.nprobe, effort.nprobe, 0};
    return choose_probes(probe_table_, effort.recall, k, clusters);
  }

  void scan_clusters(const Query& query, std::uint32_t k, const ProbePlan& plan,
                     Contenders& found) const {
    thread_local Scratch scratch;
    centroids_.rank(query.for_ranking(), plan.nprobe, scratch.ranked);
    const std::size_t probes = probes_of(plan, scratch.ranked);
    scratch.rotated.resize(rotation_.padded_dim());
    rotation_.apply(query.for_ranking(), scratch.rotated.data());
    scratch.table.set(scratch.rotated.data(), rotation_.padded_dim());
    std::size_t compared = 0;
    for (std::size_t i = 0; i < probes; ++i) {
      const auto [to_centroid, cluster] = scratch.ranked[i];
      const std::size_t first = starts_[cluster], count = starts_[cluster + 1] - first;
      if (scratch.hits.size() < count) scratch.hits.resize(count);
      SignHit* const hits = scratch.hits.data();
      const std::size_t hit_count = kernels::scan_signs(scratch.table, codes_.blocks(cluster),
                                                        count, to_centroid, limit_of(found), hits);
      SignHit* begin = hits;
      if (compared < k) {
        // Without a bound yet: those that seem nearest give one.
        SignHit* const middle = hits + std::min<std::size_t>(k - compared, hit_count);
        std::nth_element(hits, middle, hits + hit_count, [](const SignHit& a, const SignHit& b) {
          return a.estimate < b.estimate;
        });
        for (; begin < middle; ++begin, ++compared) rows_.scan(query, first + begin->row, 1, found);
      }
      for (; begin < hits + hit_count; ++begin) {
        if (begin->lower <= limit_of(found)) rows_.scan(query, first + begin->row, 1, found);
      }
    }
  }

  // In the squared distance of what centroids are ranked by.
  float limit_of(const Contenders& found) const {
    return metric() == Metric::cosine ? 2 * found.limit() : found.limit();
  }

  StoredRows rows_;
  CentroidSet centroids_;
  std::vector<std::size_t> starts_;
  std::vector<std::uint64_t> ids_;  // row number of each position
  std::vector<format::ProbePoint> probe_table_;
  kernels::Rotation rotation_;
  SignSections codes_;
};

}  // namespace

std::unique_ptr<VectorSearch> make_coded(const kernels::Rows& rows, Metric metric,
                                         const ClusteredOptions& options, base::Pool& pool) {
  return std::make_unique<CodedSearch>(rows, metric, options,
                                       cluster_rows(rows, metric, options, pool));
}

}  // namespace varve::ann
