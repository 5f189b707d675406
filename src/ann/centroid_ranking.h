// The nearest centroids of a query, found among their sign codes.
#pragma once

#include <cstddef>
#include <vector>

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
// reaches the last distance that counts: one of 500 at most in tests, nearly always one of the
// last. Immutable; thread-safe.
class CentroidRanking {
 public:
  CentroidRanking() = default;
  // Borrows `centroids`. `rotation`: of their dimension.
  CentroidRanking(const CentroidSet& centroids, const kernels::Rotation& rotation);

  // The centroids that the plan visits, nearest first. `query` has dim() values, `table` is that of
  // the rotated query. `out` is reused: no allocation once it is large enough.
  void rank(const float* query, const kernels::SignTable& table, const ProbePlan& plan,
            std::vector<CentroidSet::Ranked>& out) const;

  std::size_t resident_bytes() const { return blocks_.size() + mean_.size() * sizeof(float); }

 private:
  float first_limit(const float* query, const ProbePlan& plan, std::size_t least,
                    RankingScratch& scratch) const;
  static void order(const ProbePlan& plan, std::size_t least, RankingScratch& scratch,
                    std::vector<CentroidSet::Ranked>& out);

  const CentroidSet* centroids_ = nullptr;
  std::vector<float> mean_;
  base::Buffer blocks_;  // codes about the mean
};

}  // namespace varve::ann
