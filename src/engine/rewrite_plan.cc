#include "engine/rewrite_plan.h"

#include <algorithm>

#include "engine/train.h"

namespace varve::engine {
namespace {

// A group of which less than this share is still used is rewritten with the rest: space comes back
// only when the whole object is unused.
constexpr double kGroupUsedMin = 0.85;
constexpr double kWornGroupUsedMin = 0.5;

// Around a piece so many clusters are asked for rows that are nearer to it.
constexpr std::size_t kNeighbors = 8;
// A neighbour is written anew only if at least one in so many of its rows would move.
constexpr std::size_t kRowsPerMove = 10;
// Fewer rows are not sent to a cluster that keeps its parts: they would be a part without codes.
constexpr std::size_t kSentRowsMin = 8;
// Of a cluster that is written, in each round.
constexpr std::size_t kSampleRows = 64;
constexpr std::uint64_t kSampleBytesMax = 128ULL << 20;
constexpr unsigned kRounds = 4;
// What rows that change their cluster may hold until they are written. Beyond it, rows stay: that
// costs a little recall, as if no row ever moved.
constexpr std::uint64_t kHeldBytesMax = 256ULL << 20;

}  // namespace

RewritePlan::RewritePlan(const Generation& generation, RewriteExtent extent, ClusterRows& rows,
                         base::Pool& pool)
    : generation_(generation),
      extent_(extent),
      rows_(rows),
      pool_(pool),
      bounds_(bounds_of(generation)) {}

Status RewritePlan::make(std::uint32_t& next_id) {
  // Another process may have rebuilt an index of no rows.
  if (generation_.cluster_ids().empty()) {
    begins_.assign(1, 0);
    return {};
  }
  choose();
  choose_rest_of_thin_groups();
  if (bounds_.is_by_time) return make_by_time();
  VARVE_CHECK(train_pieces(next_id));
  VARVE_CHECK(refine(next_id));
  return move_rows();
}

std::span<NextCluster> RewritePlan::next_of(std::size_t cluster) {
  return std::span(next_).subspan(begins_[cluster], begins_[cluster + 1] - begins_[cluster]);
}

Result<std::vector<RowData>> RewritePlan::rows_that_stay(std::size_t cluster) {
  VARVE_TRY(std::vector<RowData> rows, rows_.read(cluster));
  const std::vector<bool>& moved = moved_[cluster];
  if (moved.empty()) return rows;
  std::vector<RowData> stay;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!moved[i]) stay.push_back(std::move(rows[i]));
  }
  return stay;
}

// --- which clusters ---

void RewritePlan::choose() {
  const std::size_t count = generation_.cluster_ids().size();
  fates_.assign(count, ClusterFate::kept);
  moved_.resize(count);
  cluster_of_.resize(generation_.parts().size());
  std::size_t left = count;
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::uint32_t part : generation_.parts_of(i)) cluster_of_[part] = i;
    fates_[i] = fate_of(shape_of(generation_, i));
    if (fates_[i] != ClusterFate::dissolved) continue;
    if (left == 1) fates_[i] = ClusterFate::rewritten;
    if (left > 1) --left;
  }
}

ClusterFate RewritePlan::fate_of(const ClusterShape& shape) const {
  if (extent_ == RewriteExtent::changed && !shape.is_changed()) return ClusterFate::kept;
  if (extent_ == RewriteExtent::worn) {
    const Wear wear = bounds_.wear_of(shape);
    if (wear == Wear::none) return ClusterFate::kept;
    if (wear == Wear::parts) return ClusterFate::joined;
  }
  // Runs are cut when they are written.
  if (bounds_.is_by_time) return ClusterFate::rewritten;
  if (bounds_.is_too_large(shape)) return ClusterFate::replaced;
  return bounds_.is_too_small(shape) ? ClusterFate::dissolved : ClusterFate::rewritten;
}

bool RewritePlan::is_of_base(std::uint32_t part) const {
  const std::size_t cluster = cluster_of_[part];
  const auto base = generation_.parts_of(cluster).first(base_parts_of(generation_, cluster));
  return std::find(base.begin(), base.end(), part) != base.end();
}

bool RewritePlan::is_kept(std::uint32_t part) const {
  const ClusterFate fate = fates_[cluster_of_[part]];
  return fate == ClusterFate::kept || (fate == ClusterFate::joined && is_of_base(part));
}

void RewritePlan::choose_rest_of_thin_groups() {
  const double used_min = extent_ == RewriteExtent::changed ? kGroupUsedMin : kWornGroupUsedMin;
  std::uint32_t first = 0;
  for (const auto& group : generation_.manifest().groups) {
    const auto count = static_cast<std::uint32_t>(group.parts.size());
    std::uint64_t rows = 0, kept = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      rows += group.parts[i].rows;
      if (is_kept(first + i)) kept += group.parts[i].rows;
    }
    const bool is_thin = static_cast<double>(kept) < used_min * static_cast<double>(rows);
    for (std::uint32_t i = 0; i < count && is_thin; ++i) {
      if (!is_kept(first + i)) continue;
      // What a fold added moves without the rest of its cluster.
      const bool is_later = extent_ == RewriteExtent::worn && !is_of_base(first + i);
      fates_[cluster_of_[first + i]] = is_later ? ClusterFate::joined : ClusterFate::rewritten;
    }
    first += count;
  }
}

// --- what stands in their place ---

Status RewritePlan::train_pieces(std::uint32_t& next_id) {
  const std::uint32_t dim = generation_.manifest().dim;
  begins_.assign(1, 0);
  for (std::size_t i = 0; i < size(); ++i) {
    if (fates_[i] == ClusterFate::replaced) {
      VARVE_TRY(const auto rows, rows_.read_and_keep(i));
      const std::uint32_t pieces = bounds_.pieces_of(rows.size());
      const auto sample = ClusterRows::sample_of(rows, kSampleRows * pieces);
      const format::Centroids trained = train_centroids(
          rows_.values_of(sample), dim, pieces, next_id, generation_.manifest().seed, pool_);
      for (std::size_t piece = 0; piece < trained.clusters.size(); ++piece) {
        const auto centroid = std::span(trained.values).subspan(piece * dim, dim);
        next_.push_back({trained.clusters[piece], {centroid.begin(), centroid.end()}, {}});
      }
      next_id += static_cast<std::uint32_t>(trained.clusters.size());
      ++splits_;
    } else if (fates_[i] != ClusterFate::dissolved) {
      const auto centroid = generation_.centroids().centroid(i);
      next_.push_back({generation_.cluster_ids()[i], {centroid.begin(), centroid.end()}, {}});
    } else {
      ++dissolved_;
    }
    origins_.resize(next_.size(), i);
    begins_.push_back(next_.size());
  }
  set_centroids();
  return {};
}

void RewritePlan::set_centroids() {
  std::vector<float> values;
  for (const NextCluster& next : next_) {
    values.insert(values.end(), next.centroid.begin(), next.centroid.end());
  }
  centroids_ = ann::CentroidSet(std::move(values), generation_.manifest().dim);
}

bool RewritePlan::is_written(std::size_t cluster) const {
  return fates_[cluster] == ClusterFate::rewritten || fates_[cluster] == ClusterFate::replaced;
}

// Some rows of every cluster that is written, at even distances.
Result<std::vector<float>> RewritePlan::sample_of_written() const {
  const std::uint64_t bytes_each = next_.size() * generation_.manifest().dim * sizeof(float);
  const std::size_t rows_each =
      std::clamp<std::uint64_t>(kSampleBytesMax / bytes_each, 1, kSampleRows);
  std::vector<float> values;
  for (std::size_t i = 0; i < size(); ++i) {
    if (!is_written(i)) continue;
    VARVE_TRY(const auto rows, rows_.read_and_keep(i));
    const auto sample = ClusterRows::sample_of(rows, rows_each * (begins_[i + 1] - begins_[i]));
    const std::vector<float> some = rows_.values_of(sample);
    values.insert(values.end(), some.begin(), some.end());
  }
  return values;
}

// Rounds of k-means in which the centroids of clusters that are written move and the others stay.
Status RewritePlan::refine(std::uint32_t& next_id) {
  VARVE_TRY(const std::vector<float> sample, sample_of_written());
  const std::uint32_t dim = generation_.manifest().dim;
  const std::size_t count = sample.size() / dim;
  std::vector<std::uint32_t> nearest(count);
  for (unsigned round = 0; round < kRounds && count > 0; ++round) {
    centroids_.assign({sample.data(), count, dim}, nearest, {}, pool_);
    std::vector<double> sums(next_.size() * dim, 0);
    std::vector<std::size_t> counts(next_.size(), 0);
    for (std::size_t row = 0; row < count; ++row) {
      double* sum = sums.data() + std::size_t{nearest[row]} * dim;
      for (std::uint32_t j = 0; j < dim; ++j) sum[j] += sample[row * dim + j];
      ++counts[nearest[row]];
    }
    for (std::size_t next = 0; next < next_.size(); ++next) {
      if (!is_written(origins_[next]) || counts[next] == 0) continue;
      for (std::uint32_t j = 0; j < dim; ++j) {
        next_[next].centroid[j] =
            static_cast<float>(sums[next * dim + j] / static_cast<double>(counts[next]));
      }
    }
    set_centroids();
  }
  // Codes are relative to the centroid of a cluster: one that moved is another cluster.
  for (std::size_t next = 0; next < next_.size(); ++next) {
    if (fates_[origins_[next]] == ClusterFate::rewritten) next_[next].id = next_id++;
  }
  return {};
}

bool RewritePlan::is_piece(std::size_t next) const {
  return fates_[origins_[next]] == ClusterFate::replaced;
}

// --- which rows move ---

Status RewritePlan::move_rows() {
  for (std::size_t i = 0; i < size(); ++i) {
    if (fates_[i] == ClusterFate::dissolved) VARVE_CHECK(dissolve(i));
    if (is_written(i)) VARVE_CHECK(move_to_nearest(i));
  }
  for (const std::size_t neighbor : neighbors_of_pieces()) VARVE_CHECK(move_to_pieces(neighbor));
  if (extent_ == RewriteExtent::worn) return {};
  for (std::size_t i = 0; i < size(); ++i) {
    if (fates_[i] != ClusterFate::kept || next_of(i)[0].received.empty()) continue;
    fates_[i] = ClusterFate::rewritten;
  }
  return {};
}

bool RewritePlan::may_hold(std::size_t cluster) {
  const std::uint64_t bytes = rows_.bytes_of(cluster);
  if (held_bytes_ + bytes > kHeldBytesMax) return false;
  held_bytes_ += bytes;
  return true;
}

Status RewritePlan::dissolve(std::size_t cluster) {
  VARVE_TRY(auto rows, rows_.read(cluster));
  const auto nearest = rows_.nearest_of(rows, centroids_, pool_);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    next_[nearest[i]].received.push_back(std::move(rows[i]));
  }
  return {};
}

Status RewritePlan::move_to_nearest(std::size_t cluster) {
  VARVE_TRY(const auto rows, rows_.read_and_keep(cluster));
  const auto nearest = rows_.nearest_of(rows, centroids_, pool_);
  std::vector<std::size_t> counts(next_.size(), 0);
  for (const std::uint32_t next : nearest) ++counts[next];
  const auto moves = [&](std::size_t next) {
    if (origins_[next] == cluster) return false;
    return fates_[origins_[next]] != ClusterFate::kept || counts[next] >= kSentRowsMin;
  };
  if (std::none_of(nearest.begin(), nearest.end(), moves) || !may_hold(cluster)) return {};
  moved_[cluster].assign(rows.size(), false);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!moves(nearest[i])) continue;
    next_[nearest[i]].received.push_back(rows[i]);
    moved_[cluster][i] = true;
  }
  return {};
}

// Clusters that keep their parts and lie around pieces, each once.
std::vector<std::size_t> RewritePlan::neighbors_of_pieces() const {
  std::vector<std::size_t> neighbors;
  std::vector<ann::CentroidSet::Ranked> ranked;
  for (std::size_t next = 0; next < next_.size(); ++next) {
    if (!is_piece(next)) continue;
    // Its sisters are near too.
    const std::size_t sisters = begins_[origins_[next] + 1] - begins_[origins_[next]];
    centroids_.rank(next_[next].centroid.data(), std::min(centroids_.size(), kNeighbors + sisters),
                    ranked);
    for (const auto& near : ranked) {
      if (!is_written(origins_[near.index])) neighbors.push_back(origins_[near.index]);
    }
  }
  std::sort(neighbors.begin(), neighbors.end());
  neighbors.erase(std::unique(neighbors.begin(), neighbors.end()), neighbors.end());
  return neighbors;
}

Status RewritePlan::move_to_pieces(std::size_t cluster) {
  VARVE_TRY(const auto rows, rows_.read_and_keep(cluster));
  const auto nearest = rows_.nearest_of(rows, centroids_, pool_);
  const auto moves = static_cast<std::size_t>(std::count_if(
      nearest.begin(), nearest.end(), [&](std::size_t next) { return is_piece(next); }));
  if (moves == 0 || moves * kRowsPerMove < rows.size() || !may_hold(cluster)) {
    rows_.drop(cluster);
    return {};
  }
  fates_[cluster] = ClusterFate::rewritten;
  moved_[cluster].assign(rows.size(), false);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!is_piece(nearest[i])) continue;
    next_[nearest[i]].received.push_back(rows[i]);
    moved_[cluster][i] = true;
  }
  return {};
}

}  // namespace varve::engine
