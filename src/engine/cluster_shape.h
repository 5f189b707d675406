// What is known of clusters without reading them, and which of them are out of shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/generation.h"

namespace varve::engine {

struct ClusterShape {
  std::uint64_t live = 0;
  std::uint64_t stale = 0;
  std::size_t parts = 0;
  std::size_t later_parts = 0;  // behind its base
  std::uint64_t base_rows = 0;  // live ones of its base
  bool is_scattered = false;    // in more parts than its bytes need

  // Something happened to it since it was written whole.
  bool is_changed() const { return is_scattered || stale > 0; }
  std::uint64_t came_later() const { return live - base_rows; }
};

// The base of a cluster: the parts that one job wrote before all others, several if it has many
// bytes. How many of parts_of(centroid), from the first on; 0 for a cluster without parts.
std::size_t base_parts_of(const Generation& generation, std::size_t centroid);

ClusterShape shape_of(const Generation& generation, std::size_t centroid);

enum class Wear {
  none,
  parts,  // too many, of few rows: the later ones are joined
  whole,  // too large, too small, or too many of its rows stale or in later parts
};

// Of one generation: they follow from its number of rows.
struct ClusterBounds {
  std::uint64_t rows_target = 0;
  bool is_sole = false;     // there is but one cluster
  bool is_by_time = false;  // clusters are runs of rows in the order of time

  // Clusters of more live rows are split, unless they are as they were written: sizes of trained
  // ones vary by themselves, and rows that are all alike cannot be split.
  std::uint64_t rows_max() const { return 3 * rows_target; }
  // In how many such a cluster is split: each then holds about half of what it may.
  std::uint32_t pieces_of(std::uint64_t rows) const {
    return static_cast<std::uint32_t>((rows + rows_max() / 2 - 1) / (rows_max() / 2));
  }
  // Whether queries lose more by it than rewriting it costs once.
  Wear wear_of(const ClusterShape& shape) const;
  bool is_too_large(const ClusterShape& shape) const;
  // Its rows go to its neighbours. Of clusters in the order of time joining_clusters() tells.
  bool is_too_small(const ClusterShape& shape) const {
    return !is_by_time && !is_sole && shape.is_changed() && 4 * shape.live < rows_target;
  }
};

ClusterBounds bounds_of(const Generation& generation);

// Rows at which a cluster in the order of time is full, in an index that will have so many rows and
// clusters. An index of several clusters keeps its windows however few rows are left.
std::uint64_t run_rows_max(std::uint64_t rows, std::size_t clusters, std::uint32_t dim);

// Which clusters go into the one before them in time: those without rows, and where one of two
// neighbours is small and both together have room. Never the last one, which is being filled, while
// it has rows; one cluster always stays. All false unless the index is in the order of time.
std::vector<bool> joining_clusters(const Generation& generation, const ClusterBounds& bounds);

// Live rows of the largest cluster; 0 without clusters.
std::uint64_t largest_cluster_rows(const Generation& generation);

}  // namespace varve::engine
