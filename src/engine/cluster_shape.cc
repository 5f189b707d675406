#include "engine/cluster_shape.h"

#include <algorithm>

#include "ann/kmeans.h"

namespace varve::engine {
namespace {

// A cluster is written anew when one in so many of its rows is stale: then at most this share of
// what is scanned is wasted, and a row that is replaced costs five that are written again.
constexpr std::uint64_t kRowsPerStale = 6;
// The same when one in so many is in a later part: a row that comes costs seven that are written
// again.
constexpr std::uint64_t kRowsPerLater = 8;
// Each fold may add a part to each cluster. The later ones are joined when they are so many; they
// have few rows beside the oldest.
constexpr std::size_t kLaterPartsMax = 2;
// What was written as one part that is too large, on purpose or because it could not be split, is
// left alone until one in so many of its rows came later.
constexpr std::uint64_t kRowsPerNew = 4;

}  // namespace

ClusterShape shape_of(const Generation& generation, std::size_t centroid) {
  ClusterShape shape;
  for (const std::uint32_t number : generation.parts_of(centroid)) {
    const PartView& part = generation.parts()[number];
    shape.live += part.live_rows();
    shape.stale += part.stale_count;
    if (shape.parts++ == 0) shape.oldest_part = part.live_rows();
  }
  shape.is_scattered = generation.is_scattered(centroid);
  return shape;
}

bool ClusterBounds::is_too_large(const ClusterShape& shape) const {
  if (!shape.is_changed() || shape.live <= rows_max()) return false;
  return shape.oldest_part <= rows_max() || kRowsPerNew * shape.came_later() >= shape.live;
}

Wear ClusterBounds::wear_of(const ClusterShape& shape) const {
  if (is_too_large(shape) || is_too_small(shape)) return Wear::whole;
  const std::uint64_t rows = shape.live + shape.stale;
  if (shape.stale > 0 && kRowsPerStale * shape.stale >= rows) return Wear::whole;
  if (!shape.is_scattered) return Wear::none;
  if (kRowsPerLater * shape.came_later() >= shape.live) return Wear::whole;
  return shape.parts > 1 + kLaterPartsMax ? Wear::parts : Wear::none;
}

ClusterBounds bounds_of(const Generation& generation) {
  return {ann::cluster_rows_target(generation.live_rows(), generation.manifest().dim)};
}

std::uint64_t largest_cluster_rows(const Generation& generation) {
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < generation.cluster_ids().size(); ++i) {
    largest = std::max(largest, shape_of(generation, i).live);
  }
  return largest;
}

}  // namespace varve::engine
