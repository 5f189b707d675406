// The k smallest distances seen so far.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace varve::kernels {

struct Scored {
  float distance = 0;
  std::uint64_t id = 0;

  // Nearer first, ties by smaller id: a total order, so results do not depend on scan order.
  friend bool operator<(const Scored& a, const Scored& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
  }
};

// Keeps the k first in the order above; amortised constant time per candidate. One thread.
class TopK {
 public:
  explicit TopK(std::size_t k);
  // Empty, for another k; the memory stays.
  void reset(std::size_t k);

  // Candidates at or above this distance cannot enter (infinity until k are held). Equal ones may
  // still enter by a smaller id, so test with `>`. NaN never enters.
  float threshold() const { return threshold_; }
  void add(float distance, std::uint64_t id);
  // Adds ids base_id + i for every i whose bit in `skip` (64 rows a word; may be null) is 0.
  void add_block(const float* distances, std::size_t count, std::uint64_t base_id,
                 const std::uint64_t* skip);
  // The k first, sorted. Valid until something is added or taken.
  std::span<const Scored> sorted();
  // The same; leaves the object empty.
  std::vector<Scored> take();
  std::size_t size() const;

 private:
  void compact();

  // held_ may grow to twice k_; the threshold is that of the last compaction.
  std::size_t k_ = 0;
  float threshold_ = std::numeric_limits<float>::infinity();
  std::vector<Scored> held_;
};

}  // namespace varve::kernels
