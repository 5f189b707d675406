// What becomes of each cluster in a rewrite, and which rows change their cluster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ann/kmeans.h"
#include "base/pool.h"
#include "base/result.h"
#include "engine/cluster_shape.h"
#include "engine/generation.h"
#include "engine/rewrite_rows.h"
#include "format/blobs.h"

namespace varve::engine {

enum class RewriteExtent {
  changed,  // every cluster that has stale rows or too many parts; leaves one part each
  worn,     // those that are worth it: a bounded number of rows for each row that came or went
};

enum class ClusterFate {
  kept,       // its parts stay; it may get rows of others as one part more
  joined,     // its base stays, later parts become one, with rows of others
  rewritten,  // under the same centroid
  replaced,   // by pieces
  dissolved,  // its rows go to others
};

// A cluster of the next generation: one that was there, or a piece of one that is replaced.
struct NextCluster {
  std::uint32_t id = 0;
  std::vector<float> centroid;
  std::vector<RowData> received;  // from clusters that it did not come from
};

// The plan for one generation. Follows LIRE (Xu et al., SPFresh, SOSP 2023): a cluster that is
// too large is split, one that is too small dissolved, and rows go to the cluster that is nearest
// now: those of clusters that are written anyway to any, those around a split to the pieces. Beyond
// LIRE, the centroids of clusters that are written anyway move as in k-means. In an index in the
// order of time no row moves but to the cluster before or behind, with all of its cluster
// (time_plan.cc).
class RewritePlan {
 public:
  RewritePlan(const Generation& generation, RewriteExtent extent, ClusterRows& rows,
              base::Pool& pool);

  // `next_id`: the first free id of a cluster; moves past those that pieces take.
  Status make(std::uint32_t& next_id);

  std::size_t size() const { return fates_.size(); }
  ClusterFate fate(std::size_t cluster) const { return fates_[cluster]; }
  // Whether a part stays as it is.
  bool is_kept(std::uint32_t part) const;
  // What stands in the place of a cluster: itself, its pieces, or nothing.
  std::span<NextCluster> next_of(std::size_t cluster);
  // The live rows of a cluster that stay in its place.
  Result<std::vector<RowData>> rows_that_stay(std::size_t cluster);
  std::uint64_t splits() const { return splits_; }
  std::uint64_t dissolved() const { return dissolved_; }

 private:
  void choose();
  ClusterFate fate_of(const ClusterShape& shape) const;
  void choose_rest_of_thin_groups();
  Status make_by_time();
  Status train_pieces(std::uint32_t& next_id);
  Status refine(std::uint32_t& next_id);
  Result<std::vector<float>> sample_of_written() const;
  // All of it.
  bool is_written(std::size_t cluster) const;
  void set_centroids();
  Status move_rows();
  Status dissolve(std::size_t cluster);
  Status move_to_nearest(std::size_t cluster);
  Status move_to_pieces(std::size_t cluster);
  std::vector<std::size_t> neighbors_of_pieces() const;
  bool is_piece(std::size_t next) const;
  bool is_of_base(std::uint32_t part) const;
  // False: rows that moved hold too much memory already.
  bool may_hold(std::size_t cluster);

  const Generation& generation_;
  const RewriteExtent extent_;
  ClusterRows& rows_;
  base::Pool& pool_;
  const ClusterBounds bounds_;
  std::vector<ClusterFate> fates_;
  std::vector<std::size_t> cluster_of_;  // of each part
  std::vector<NextCluster> next_;        // in the order of the clusters they come from
  std::vector<std::size_t> begins_;      // into next_, one more than clusters
  std::vector<std::size_t> origins_;     // cluster of each of next_
  ann::CentroidSet centroids_;           // of next_
  // Of each cluster, by number of the row as it is read: gone to another. Empty: none.
  std::vector<std::vector<bool>> moved_;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t splits_ = 0, dissolved_ = 0;
};

}  // namespace varve::engine
