// hnswlib as its users build it, for benches: its own vector code, compiled for this machine.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace varve::ann {

// Euclidean, M 16, efConstruction 200, one thread.
class HnswlibPeer {
 public:
  HnswlibPeer(const float* rows, std::size_t count, std::uint32_t dim);
  ~HnswlibPeer();
  void set_ef(std::size_t ef);
  // Ids of the k nearest, in no order.
  void search(const float* query, std::size_t k, std::vector<std::uint64_t>& ids) const;

 private:
  struct Graph;
  std::unique_ptr<Graph> graph_;
};

}  // namespace varve::ann
