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
    float lower = 0;  // bound of the squared distance
    std::uint64_t id = 0;
  };

  // `k`: at least 1.
  void start(std::size_t k);
  // Rows base_id, base_id + 1, ... whose codes are `blocks`, but for those whose bit in `skip` (64
  // a word; may be null) is set. `to_centroid`: squared distance of the query to their centroid.
  void add(const kernels::SignTable& table, const std::byte* blocks, std::size_t rows,
           float to_centroid, std::uint64_t base_id, const std::uint64_t* skip);
  // Those whose lower bound is within the k-th smallest upper bound, by lower bound, ties by id:
  // the same ones in whatever order the clusters were added. Valid until the next start().
  std::span<const Survivor> finish();

 private:
  void offer_upper(float upper);

  std::size_t k_ = 1;
  float limit_ = 0;            // infinity until k upper bounds are known, then the k-th of them
  std::vector<float> uppers_;  // the k smallest, a heap with the largest in front
  std::vector<Survivor> survivors_;
  std::vector<kernels::SignHit> hits_;
};

}  // namespace varve::ann
