#include "engine/cluster_shape.h"

#include <algorithm>

#include "ann/kmeans.h"
#include "engine/group_writer.h"

namespace varve::engine {
namespace {

// A cluster is written anew when one in so many of its rows is stale: then at most this share of
// what is scanned is wasted, and a row that is replaced costs five that are written again.
constexpr std::uint64_t kRowsPerStale = 6;
// The same when one in so many is in a later part: a row that comes costs nine that are written
// again.
constexpr std::uint64_t kRowsPerLater = 10;
// Each fold may add a part to each cluster. Later ones are joined when they are more; they have few
// rows beside the base.
constexpr std::size_t kLaterPartsMax = 2;
// What was written as one base that is too large, on purpose or because it could not be split, is
// left alone until one in so many of its rows came later.
constexpr std::uint64_t kRowsPerNew = 4;

}  // namespace

std::size_t base_parts_of(const Generation& generation, std::size_t centroid) {
  const auto parts = generation.parts_of(centroid);
  const auto job_of = [&](std::uint32_t part) {
    return job_of_part(generation.parts()[part].slot->ref.id);
  };
  const auto end = std::find_if(parts.begin(), parts.end(), [&](std::uint32_t part) {
    return job_of(part) != job_of(parts[0]);
  });
  return static_cast<std::size_t>(end - parts.begin());
}

ClusterShape shape_of(const Generation& generation, std::size_t centroid) {
  ClusterShape shape;
  const std::size_t base = base_parts_of(generation, centroid);
  for (const std::uint32_t number : generation.parts_of(centroid)) {
    const PartView& part = generation.parts()[number];
    shape.live += part.live_rows();
    shape.stale += part.stale_count;
    if (shape.parts++ < base) shape.base_rows += part.live_rows();
  }
  shape.later_parts = shape.parts - base;
  shape.is_scattered = generation.is_scattered(centroid);
  return shape;
}

bool ClusterBounds::is_too_large(const ClusterShape& shape) const {
  if (!shape.is_changed() || shape.live <= rows_max()) return false;
  // Runs can always be split.
  if (is_by_time) return true;
  return shape.base_rows <= rows_max() || kRowsPerNew * shape.came_later() >= shape.live;
}

Wear ClusterBounds::wear_of(const ClusterShape& shape) const {
  if (is_too_large(shape) || is_too_small(shape)) return Wear::whole;
  const std::uint64_t rows = shape.live + shape.stale;
  if (shape.stale > 0 && kRowsPerStale * shape.stale >= rows) return Wear::whole;
  if (!shape.is_scattered) return Wear::none;
  if (kRowsPerLater * shape.came_later() >= shape.live) return Wear::whole;
  return shape.later_parts > kLaterPartsMax ? Wear::parts : Wear::none;
}

ClusterBounds bounds_of(const Generation& generation) {
  const std::size_t clusters = generation.cluster_ids().size();
  std::uint64_t rows = generation.live_rows();
  const std::uint32_t dim = generation.manifest().dim;
  if (generation.manifest().order == ClusterOrder::time) {
    return {run_rows_max(rows, clusters, dim), clusters == 1, true};
  }
  // A few rows less, and all would go into one cluster; a few more, and that would be split again.
  if (clusters > 1 && rows > ann::kFlatRowsMax / 2) rows = std::max(rows, ann::kFlatRowsMax + 1);
  return {ann::cluster_rows_target(rows, dim), clusters == 1, false};
}

std::uint64_t run_rows_max(std::uint64_t rows, std::size_t clusters, std::uint32_t dim) {
  if (clusters > 1) rows = std::max(rows, ann::kFlatRowsMax + 1);
  return ann::cluster_rows_target(rows, dim);
}

std::vector<bool> joining_clusters(const Generation& generation, const ClusterBounds& bounds) {
  const std::size_t count = generation.cluster_ids().size();
  std::vector<bool> joins(count, false);
  if (!bounds.is_by_time) return joins;
  const auto is_small = [&](std::uint64_t rows) { return 4 * rows < bounds.rows_target; };
  bool has_older = false;
  std::uint64_t older = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_last = i + 1 == count;
    const std::uint64_t live = shape_of(generation, i).live;
    if (live == 0) {
      joins[i] = has_older || !is_last;
      continue;
    }
    const bool fits = older + live <= 2 * bounds.rows_target;
    joins[i] = has_older && fits && (is_small(older) || (is_small(live) && !is_last));
    older = joins[i] ? older + live : live;
    has_older = true;
  }
  return joins;
}

std::uint64_t largest_cluster_rows(const Generation& generation) {
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < generation.cluster_ids().size(); ++i) {
    largest = std::max(largest, shape_of(generation, i).live);
  }
  return largest;
}

}  // namespace varve::engine
