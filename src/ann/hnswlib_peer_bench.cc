// Compiled with -march=native (src/CMakeLists.txt). In a namespace of its own: hnsw.cc holds the
// same templates without vector code, and the linker would keep one of the two.
#define hnswlib hnswlib_native
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <mutex>
#include <unordered_map>

#include <hnswlib/hnswlib.h>
#pragma GCC diagnostic pop

#include "ann/hnswlib_peer.h"

namespace varve::ann {

struct HnswlibPeer::Graph {
  Graph(std::size_t count, std::uint32_t dim) : space(dim), index(&space, count, 16, 200, 1) {}

  hnswlib::L2Space space;
  hnswlib::HierarchicalNSW<float> index;
};

HnswlibPeer::HnswlibPeer(const float* rows, std::size_t count, std::uint32_t dim)
    : graph_(std::make_unique<Graph>(count, dim)) {
  for (std::size_t i = 0; i < count; ++i) graph_->index.addPoint(rows + i * dim, i);
}

HnswlibPeer::~HnswlibPeer() = default;

void HnswlibPeer::set_ef(std::size_t ef) { graph_->index.setEf(ef); }

void HnswlibPeer::search(const float* query, std::size_t k, std::vector<std::uint64_t>& ids) const {
  ids.clear();
  auto nearest = graph_->index.searchKnn(query, k);
  for (; !nearest.empty(); nearest.pop()) ids.push_back(nearest.top().second);
}

}  // namespace varve::ann
