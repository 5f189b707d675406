// Which rows of some clusters may be among the k nearest, by their sign codes alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/sign_codes.h"

namespace varve::ann {

// One thread. Kept from query to query for its memory: once that is large enough, nothing is
// allocated.
class SignFilter {
 public:
  struct Survivor {
    float lower = 0;     // bound of the squared distance
    float estimate = 0;  // of the squared distance
    std::uint64_t id = 0;
  };

  // `k`: at least 1.
  void start(std::size_t k);
  // Looks at the rows of one cluster; row i has the id base_id + i. `cluster.first_row` is 0.
  void add(const kernels::SignTable& table, const kernels::SignCluster& cluster,
           std::uint64_t base_id);
  // Appends those whose lower bound is within the k-th smallest upper bound: first the k with the
  // smallest upper bounds, then the others, both in the order in which they were added.
  void finish(std::vector<Survivor>& out) const;

 private:
  struct Range {
    std::size_t end;  // in hits_
    std::uint64_t base_id;
  };

  kernels::UpperBounds bounds_;
  std::vector<kernels::SignHit> hits_;  // grows only: count_ of them count
  std::size_t count_ = 0;
  std::vector<Range> ranges_;
};

}  // namespace varve::ann
