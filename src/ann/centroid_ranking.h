// The nearest centroids of a query, found among their sign codes.
#pragma once

#include <cstddef>
#include <vector>

#include "ann/centroid_levels.h"
#include "ann/kmeans.h"
#include "ann/probe.h"
#include "base/bytes.h"
#include "kernels/rotation.h"
#include "kernels/sign_codes.h"

namespace varve::ann {

struct RankingScratch;

// Ranks like CentroidSet::rank at a fraction of its cost: only centroids whose sign codes leave
// them among those that are visited are compared themselves. Distances are the same bits, and so is
// the order of what is found. A centroid is missed if the bound of its code fails and the error
// reaches the last distance that counts: one of 500 in tests, and of 256 dimensions or more,
// where plans that visit four or more take bounds tighter, one of 80; nearly always one of the
// last. From `levels_from` on, not all codes are looked at (centroid_levels.h) and one of 100 may
// be missed. Immutable; thread-safe.
class CentroidRanking {
 public:
  CentroidRanking() = default;
  // Below, a scan of all codes is about as fast (docs/decisions/0023-levels-over-centroids.md).
  static constexpr std::size_t kLevelsFrom = 20'000;
  // Borrows `centroids`. `rotation`: of their dimension. `levels_from`: the number of centroids
  // from which on there are levels over them.
  CentroidRanking(const CentroidSet& centroids, const kernels::Rotation& rotation,
                  std::size_t levels_from = kLevelsFrom);

  // The centroids that the plan visits, nearest first. `query` has dim() values, `table` is that of
  // the rotated query. `out` is reused: no allocation once it is large enough.
  void rank(const float* query, const kernels::SignTable& table, const ProbePlan& plan,
            std::vector<CentroidSet::Ranked>& out) const;

  std::size_t resident_bytes() const {
    return blocks_.size() + mean_.size() * sizeof(float) + levels_.resident_bytes();
  }

 private:
  void compare_hits(const float* query, const ProbePlan& plan, std::size_t least,
                    RankingScratch& scratch) const;
  void rank_flat(const float* query, const kernels::SignTable& table, const ProbePlan& plan,
                 bool is_tight, RankingScratch& scratch,
                 std::vector<CentroidSet::Ranked>& out) const;
  float first_limit(const float* query, const ProbePlan& plan, std::size_t least,
                    RankingScratch& scratch) const;
  static void order(const ProbePlan& plan, std::size_t least, RankingScratch& scratch,
                    std::vector<CentroidSet::Ranked>& out);

  const CentroidSet* centroids_ = nullptr;
  std::vector<float> mean_;
  base::Buffer blocks_;  // codes about the mean
  CentroidLevels levels_;
};

}  // namespace varve::ann
