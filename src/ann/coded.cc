// Clusters whose rows are looked at by their signs first; only what the error bound leaves is
// compared with the rows themselves.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ann/centroid_ranking.h"
#include "ann/clustering.h"
#include "ann/code_encoder.h"
#include "ann/probe.h"
#include "ann/stored_rows.h"
#include "ann/train_directions.h"
#include "ann/vector_search.h"
#include "base/bytes.h"
#include "kernels/extra_codes.h"
#include "kernels/rotation.h"
#include "kernels/sign_codes.h"

namespace varve::ann {
namespace {

using kernels::kSignBlockRows;
using kernels::SignHit;

// The codes of all clusters: signs, each cluster from a block of its own on, and maybe extra bits
// by position. Immutable; thread-safe.
class CodeSections {
 public:
  CodeSections(const StoredRows& rows, const CentroidSet& centroids,
               std::span<const std::size_t> starts, const CodeEncoder& encoder)
      : block_bytes_(kernels::sign_block_bytes(encoder.rotation().padded_dim(), encoder.steps())),
        extra_row_bytes_(encoder.extra_row_bytes()) {
    first_blocks_.push_back(0);
    for (std::size_t c = 0; c < centroids.size(); ++c) {
      const std::size_t count = starts[c + 1] - starts[c];
      first_blocks_.push_back(first_blocks_.back() + (count + kSignBlockRows - 1) / kSignBlockRows);
    }
    signs_ = base::Buffer(first_blocks_.back() * block_bytes_);
    extra_ = base::Buffer(rows.rows().count * extra_row_bytes_);
    for (std::size_t c = 0; c < centroids.size(); ++c) {
      const std::size_t count = starts[c + 1] - starts[c];
      const std::size_t blocks = first_blocks_[c + 1] - first_blocks_[c];
      encoder.encode(rows.rows().sub(starts[c], count), centroids.centroid(c),
                     signs_.span().subspan(first_blocks_[c] * block_bytes_, blocks * block_bytes_),
                     extra_.span().subspan(starts[c] * extra_row_bytes_, count * extra_row_bytes_));
    }
  }

  const std::byte* blocks(std::size_t cluster) const {
    return signs_.data() + first_blocks_[cluster] * block_bytes_;
  }
  // The block of the row at `place` of its cluster.
  const std::byte* block(std::size_t cluster, std::size_t place) const {
    return blocks(cluster) + place / kSignBlockRows * block_bytes_;
  }
  bool has_extra() const { return extra_row_bytes_ > 0; }
  const std::byte* extra(std::size_t position) const {
    return extra_.data() + position * extra_row_bytes_;
  }
  void fetch_extra(std::size_t position) const {
    for (std::size_t at = 0; at < extra_row_bytes_; at += 64) {
      __builtin_prefetch(extra(position) + at);
    }
  }
  std::size_t resident_bytes() const {
    return signs_.size() + extra_.size() + first_blocks_.size() * sizeof(first_blocks_[0]);
  }

 private:
  const std::size_t block_bytes_, extra_row_bytes_;
  std::vector<std::size_t> first_blocks_;  // of each cluster, and the end
  base::Buffer signs_, extra_;
};

// A row that signs leave, of the cluster that was visited as the `visit`-th.
struct Candidate {
  float lower, estimate;
  std::uint32_t row, visit;
};

// Rows that are compared at once: their bytes are fetched while those before are compared, and
// those after profit from a nearer limit.
constexpr std::size_t kComparedRows = 16;

// Candidates whose extra bits are asked for while earlier ones are estimated.
constexpr std::size_t kFetchedAhead = 4;

// Of the error, in bounds of it, when rows are compared: costs six more rows of 23 and finds half
// of what single bounds miss (fashion-mnist, recall 0.9986 in place of 0.9997).
constexpr float kSlack = 1.5F;

// Kept from query to query of a thread.
struct Scratch {
  std::vector<CentroidSet::Ranked> ranked;
  std::vector<float> rotated;
  kernels::SignTable table;
  kernels::UpperBounds bounds;
  std::vector<SignHit> hits;
  std::vector<std::size_t> ends;  // in hits, of each cluster visited
  std::vector<Candidate> candidates;
  kernels::ExtraQuery extra;
  std::vector<Neighbor> estimated;
  RowComparison comparison;
  std::vector<std::uint32_t> positions;
  std::vector<float> distances;
  std::vector<double> exact;
};

class ClustersOfCodes final : public CodedSearch {
 public:
  ClustersOfCodes(const kernels::Rows& rows, Metric metric, const CodedOptions& options,
                  Clustering made, kernels::Directions directions)
      : rows_(rows, metric, made.order),
        centroids_(std::move(made.centroids)),
        starts_(std::move(made.starts)),
        ids_(std::move(made.order)),
        probe_table_(std::move(made.probe_table)),
        encoder_({rows.dim, metric, options.clusters.seed, options.extra_words,
                  std::make_shared<const kernels::Directions>(std::move(directions))}),
        ranking_(centroids_, rotation()),
        codes_(rows_, centroids_, starts_, encoder_) {}

  Result<std::vector<Neighbor>> search(std::span<const float> values, std::uint32_t k,
                                       const Effort& effort) const override {
    VARVE_TRY(const Query query, make_query(values, k, rows_));
    Contenders found(k, float_error(metric(), dim()));
    if (effort.exact) {
      rows_.scan(query, 0, rows_.rows().count, found);
      return rows_.order(query, found.take(), k, ids_);
    }
    thread_local Scratch scratch;
    std::span<SignHit> hits = scan_clusters(query, k, plan_of(effort, k), scratch);
    if (effort.codes_only && codes_.has_extra()) return estimate(hits, k, scratch);
    const float limit = scratch.bounds.limit();
    const auto end = std::remove_if(hits.begin(), hits.end(),
                                    [limit](const SignHit& hit) { return hit.lower > limit; });
    hits = {hits.begin(), end};
    if (!hits.empty()) compare(query, hits, k, scratch, found);
    return order(found.take(), k, scratch);
  }

  std::uint64_t size() const override { return rows_.rows().count; }
  std::uint32_t dim() const override { return rows_.rows().dim; }
  Metric metric() const override { return rows_.metric(); }
  std::size_t resident_bytes() const override {
    return rows_.resident_bytes() + resident_bytes_of_codes();
  }
  std::size_t resident_bytes_of_codes() const override {
    return codes_.resident_bytes() + encoder_.directions().resident_bytes() +
           rotation().resident_bytes() + ranking_.resident_bytes() +
           centroids_.values().size_bytes() + starts_.size() * sizeof(std::size_t) +
           ids_.size() * sizeof(std::uint64_t);
  }

 private:
  const kernels::Rotation& rotation() const { return encoder_.rotation(); }
  ProbePlan plan_of(const Effort& effort, std::uint32_t k) const {
    const auto clusters = static_cast<std::uint32_t>(centroids_.size());
    if (effort.nprobe != 0) return {effort.nprobe, effort.nprobe, 0};
    return choose_probes(probe_table_, effort.recall, k, clusters);
  }

  // Rows of the visited clusters whose lower bound was within the k-th upper bound so far;
  // scratch.bounds has the last one, scratch.ends where the hits of each cluster end.
  std::span<SignHit> scan_clusters(const Query& query, std::uint32_t k, const ProbePlan& plan,
                                   Scratch& scratch) const {
    scratch.rotated.resize(rotation().padded_dim());
    rotation().apply(query.for_ranking(), scratch.rotated.data());
    scratch.table.set(scratch.rotated.data(), rotation().padded_dim());
    auto& ranked = scratch.ranked;
    ranking_.rank(query.for_ranking(), scratch.table, plan, ranked);
    std::size_t rows = 0;
    for (const auto& probe : ranked) rows += starts_[probe.index + 1] - starts_[probe.index];
    scratch.ends.clear();
    if (rows == 0) return {};
    scratch.bounds.reset(std::min<std::size_t>(k, rows));
    if (scratch.hits.size() < rows) scratch.hits.resize(rows);
    SignHit* end = scratch.hits.data();
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      const auto [to_centroid, cluster] = ranked[i];
      const std::byte* const next =
          i + 1 < ranked.size() ? codes_.blocks(ranked[i + 1].index) : nullptr;
      end += kernels::scan_signs(scratch.table,
                                 {.blocks = codes_.blocks(cluster),
                                  .rows = starts_[cluster + 1] - starts_[cluster],
                                  .to_centroid = to_centroid,
                                  .first_row = static_cast<std::uint32_t>(starts_[cluster]),
                                  .next = next,
                                  .steps = encoder_.steps()},
                                 scratch.bounds, end);
      scratch.ends.push_back(static_cast<std::size_t>(end - scratch.hits.data()));
    }
    return {scratch.hits.data(), end};
  }

  // What signs leave, those that seem nearest first.
  void choose_candidates(std::span<const SignHit> hits, std::uint32_t k, Scratch& scratch) const {
    auto& candidates = scratch.candidates;
    candidates.clear();
    const float limit = scratch.bounds.limit();
    std::size_t at = 0;
    for (std::uint32_t visit = 0; visit < scratch.ends.size(); ++visit) {
      for (; at < scratch.ends[visit]; ++at) {
        if (hits[at].lower > limit) continue;
        candidates.push_back({hits[at].lower, hits[at].estimate, hits[at].row, visit});
      }
    }
    const auto first = static_cast<std::ptrdiff_t>(std::min<std::size_t>(k, candidates.size()));
    std::nth_element(
        candidates.begin(), candidates.begin() + first, candidates.end(),
        [](const Candidate& a, const Candidate& b) { return a.estimate < b.estimate; });
  }

  // The k nearest by their codes. A row is left out by its signs if its bound is beyond the k-th
  // estimate.
  std::vector<Neighbor> estimate(std::span<const SignHit> hits, std::uint32_t k,
                                 Scratch& scratch) const {
    if (hits.empty()) return {};
    choose_candidates(hits, k, scratch);
    const auto& candidates = scratch.candidates;
    scratch.extra.set(scratch.rotated.data(), encoder_.extra_shape(), encoder_.directions());
    scratch.bounds.reset(std::min<std::size_t>(k, candidates.size()));
    auto& found = scratch.estimated;
    found.clear();
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (i + kFetchedAhead < candidates.size())
        codes_.fetch_extra(candidates[i + kFetchedAhead].row);
      const Candidate& candidate = candidates[i];
      if (candidate.lower > scratch.bounds.limit()) continue;
      const auto [to_centroid, cluster] = scratch.ranked[candidate.visit];
      const std::size_t place = candidate.row - starts_[cluster];
      const auto near = scratch.extra.estimate(codes_.block(cluster, place), place % kSignBlockRows,
                                               codes_.extra(candidate.row), to_centroid);
      if (near.estimate > scratch.bounds.limit()) continue;
      scratch.bounds.add(near.estimate);
      const auto squared = static_cast<double>(std::max(near.estimate, 0.0F));
      found.push_back({metric() == Metric::cosine ? squared / 2 : squared, ids_[candidate.row]});
    }
    return nearest_of(found, k);
  }

  static std::vector<Neighbor> nearest_of(std::vector<Neighbor>& found, std::uint32_t k) {
    const auto count = static_cast<std::ptrdiff_t>(std::min<std::size_t>(k, found.size()));
    std::partial_sort(found.begin(), found.begin() + count, found.end(), is_before);
    return {found.begin(), found.begin() + count};
  }

  static bool is_before(const Neighbor& a, const Neighbor& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
  }

  // Those that seem nearest give a limit; of the others only rows whose bound is within it are
  // compared.
  void compare(const Query& query, std::span<SignHit> hits, std::uint32_t k, Scratch& scratch,
               Contenders& found) const {
    const std::size_t first = std::min<std::size_t>(k, hits.size());
    std::nth_element(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(first - 1),
                     hits.end(),
                     [](const SignHit& a, const SignHit& b) { return a.estimate < b.estimate; });
    scratch.bounds.reset(first);
    float limit = std::numeric_limits<float>::infinity();
    for (std::size_t at = 0; at < hits.size();) {
      scratch.positions.clear();
      const std::size_t width = at == 0 ? first : kComparedRows;
      for (; at < hits.size() && scratch.positions.size() < width; ++at) {
        const float lower = hits[at].estimate - kSlack * (hits[at].estimate - hits[at].lower);
        if (lower > limit) continue;
        rows_.fetch(hits[at].row);
        __builtin_prefetch(&ids_[hits[at].row]);
        scratch.positions.push_back(hits[at].row);
      }
      if (at == first) scratch.comparison.set(rows_, query);
      scratch.distances.resize(scratch.positions.size());
      scratch.comparison.distances(scratch.positions, scratch.distances.data());
      for (std::size_t i = 0; i < scratch.positions.size(); ++i) {
        scratch.bounds.add(scratch.distances[i]);
        found.add(scratch.distances[i], scratch.positions[i]);
      }
      limit = squared(scratch.bounds.limit());
    }
  }

  std::vector<Neighbor> order(std::span<const std::uint64_t> contenders, std::uint32_t k,
                              Scratch& scratch) const {
    scratch.positions.assign(contenders.begin(), contenders.end());
    scratch.exact.resize(contenders.size());
    scratch.comparison.exact_distances(scratch.positions, scratch.exact.data());
    std::vector<Neighbor> items(contenders.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      items[i] = {scratch.exact[i], ids_[scratch.positions[i]]};
    }
    std::sort(items.begin(), items.end(), is_before);
    if (items.size() > k) items.resize(k);
    return items;
  }

  // The squared distance that codes estimate, of unit vectors under cosine.
  float squared(float distance) const {
    return metric() == Metric::cosine ? 2 * distance : distance;
  }

  StoredRows rows_;
  CentroidSet centroids_;
  std::vector<std::size_t> starts_;
  std::vector<std::uint64_t> ids_;  // row number of each position
  std::vector<format::ProbePoint> probe_table_;
  CodeEncoder encoder_;
  CentroidRanking ranking_;
  CodeSections codes_;
};

}  // namespace

std::unique_ptr<CodedSearch> make_coded(const kernels::Rows& rows, Metric metric,
                                        const CodedOptions& options, base::Pool& pool) {
  Clustering made = cluster_rows(rows, metric, options.clusters, pool);
  kernels::Directions directions;
  if (options.extra_words > 0 && rows.count > 0) {
    const auto sample = spread_rows(rows, metric, std::min(rows.count, kDirectionRows));
    directions =
        train_directions({sample.data(), sample.size() / rows.dim, rows.dim}, made.centroids,
                         kernels::Rotation(rows.dim, options.clusters.seed), options.extra_words,
                         options.clusters.seed, pool);
  }
  return std::make_unique<ClustersOfCodes>(rows, metric, options, std::move(made),
                                           std::move(directions));
}

}  // namespace varve::ann
