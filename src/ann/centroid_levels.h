// Levels of nodes over many centroids: a query looks at the codes of those near it only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ann/kmeans.h"
#include "ann/probe.h"
#include "base/bytes.h"
#include "kernels/rotation.h"
#include "kernels/sign_codes.h"

namespace varve::ann {

// What a walk needs, and what it finds. One thread; kept from query to query for its memory.
struct LevelScratch {
  struct Waiting {
    float key;
    std::uint32_t node;
  };
  std::vector<Waiting> heap;
  std::vector<float> estimates, lowers;
  std::vector<float> margins;  // of each level
  // Bounds of the last centroid that is visited, and of the last that is visited whatever the ratio
  // says; likely_ ones say which nodes are opened, the others which centroids are compared.
  kernels::UpperBounds most, likely_most, least, likely_least;
  std::vector<kernels::SignHit> hits;  // the first `count`; `row` is the index of a centroid
  std::size_t count = 0;
  std::size_t codes_scanned = 0;  // of centroids
};

// Centroids in groups of about 32 around nodes, nodes again, up to a root with at most 1,024
// children. The children of a node are sign codes about it, so bounds are as close as groups are
// small. A walk opens nodes in the order of the nearest centroid that each may hold, from the root
// down and across levels, and stops when no other may hold one that counts: it skips the rest of
// every level. How near a node may hold one is learned from queries between centroids when the
// levels are built. Immutable; thread-safe.
class CentroidLevels {
 public:
  // The `count` nearest of all centroids, nearest first, by another way.
  using Rank = std::function<void(const float* query, std::size_t count,
                                  std::vector<CentroidSet::Ranked>& out)>;

  CentroidLevels() = default;
  // Borrows `centroids`. Under two seconds of one core for 200,000 centroids of 128 values. The
  // same for the same centroids and rotation.
  CentroidLevels(const CentroidSet& centroids, const kernels::Rotation& rotation, const Rank& rank);

  // Whether walk() is worth while; false for a plan for which most codes would be scanned.
  bool is_for(const ProbePlan& plan) const;
  // Leaves the centroids that `plan` may visit in `scratch.hits`. False if those are fewer than it
  // visits at least. REQUIRES: is_for(plan).
  bool walk(const float* query, const kernels::SignTable& table, const ProbePlan& plan,
            LevelScratch& scratch) const;

  std::size_t resident_bytes() const;

 private:
  friend class LevelBuilder;

  struct Node {
    std::uint32_t first_child = 0, children = 0;  // in children_
    std::uint32_t first_block = 0;                // in blocks_
    std::uint32_t level = 0;                      // 1: children are centroids
    float spread = 0;                             // mean square of the distance to its centroids
    float radius = 0;                             // the root of it
  };
  // What is learned for plans that visit `count` centroids.
  struct Reach {
    std::size_t count = 0;
    bool is_far = false;         // most codes are scanned
    std::vector<float> margins;  // of each level
  };

  static float key_of(float distance, const Node& node, float margin);
  std::size_t reach_below(std::size_t count) const;
  void set_margins(std::size_t count, std::vector<float>& margins) const;
  void push_children(const Node& node, const kernels::SignTable& table, float distance,
                     std::span<const float> margins, float limit, LevelScratch& scratch) const;
  std::size_t scan_children(const Node& node, const kernels::SignTable& table, float distance,
                            float last, LevelScratch& scratch) const;

  const CentroidSet* centroids_ = nullptr;
  std::uint32_t dim_ = 0;
  std::size_t block_bytes_ = 0;
  std::vector<Node> nodes_;              // level by level, the root last
  std::vector<float> values_;            // of nodes, row-major
  std::vector<std::uint32_t> children_;  // numbers of nodes, or of centroids
  base::Buffer blocks_;                  // codes of the children of each node
  std::vector<Reach> reaches_;           // ascending counts
};

}  // namespace varve::ann
