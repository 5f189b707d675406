// hnswlib's graph over Varve's kernels. hnswlib reports errors by exceptions: they end in this
// file. Its own vector code is switched off: it prefetches past the end of link lists, and it is
// compiled for one instruction set, while the kernels choose at run time.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>

#include "ann/exact.h"
#include "ann/vector_search.h"
#include "base/assert.h"

#define NO_MANUAL_VECTORIZATION
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

namespace varve::ann {
namespace {

// A point of the graph: the values, and under cosine one over the length behind them.
struct Space final : hnswlib::SpaceInterface<float> {
  Space(std::uint32_t values, Metric measure) : dim(values), metric(measure) {}

  std::size_t get_data_size() override { return (dim + 1) * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &distance; }
  void* get_dist_func_param() override { return this; }

  static float distance(const void* a, const void* b, const void* param) {
    const auto* space = static_cast<const Space*>(param);
    const auto* left = static_cast<const float*>(a);
    const auto* right = static_cast<const float*>(b);
    const auto row = kernels::rows_of(right, 1, space->dim);
    float result = 0;
    if (space->metric == Metric::euclidean) {
      kernels::squared_l2(left, row, &result);
    } else {
      kernels::inner_product(left, row, &result);
      result = 1 - result * left[space->dim] * right[space->dim];
    }
    // A NaN would break the order of hnswlib's heaps.
    return std::isnan(result) ? std::numeric_limits<float>::max() : result;
  }

  std::uint32_t dim;
  Metric metric;
};

using Graph = hnswlib::HierarchicalNSW<float>;

// Finds 0.997 of the generated set of ann_bench when 0.95 is asked: enough for harder sets.
std::size_t breadth_of(const Effort& effort, std::uint32_t k) {
  if (effort.ef != 0) return std::max<std::size_t>(effort.ef, k);
  const double missing = std::max(1 - effort.recall, 1e-4);
  return k + static_cast<std::size_t>(3 / std::pow(missing, 0.75));
}

class HnswSearch final : public VectorSearch {
 public:
  HnswSearch(const kernels::Rows& rows, Metric metric, const HnswOptions& options)
      : space_(rows.dim, metric),
        graph_(&space_, std::max<std::size_t>(rows.count, 1), options.m, options.ef_construction,
               options.seed) {
    if (metric == Metric::cosine) inverse_ = inverse_norms(rows);
    std::vector<float> point(rows.dim + 1);
    for (std::size_t i = 0; i < rows.count; ++i) {
      kernels::widen(rows, i, point.data());
      point[rows.dim] = inverse_.empty() || std::isnan(inverse_[i]) ? 1.0F : inverse_[i];
      graph_.addPoint(point.data(), i);
    }
  }

  Result<std::vector<Neighbor>> search(std::span<const float> values, std::uint32_t k,
                                       const Effort& effort) const override {
    if (k == 0) return fail(ErrorKind::invalid, "k is 0");
    VARVE_TRY(const Query query, make_query(values, dim(), metric()));
    Contenders found(k, float_error(metric(), dim()));
    if (effort.exact || effort.recall >= 1) {
      scan_all(query, found);
    } else {
      try {
        walk(query, breadth_of(effort, k), found);
      } catch (const std::exception& error) {
        return fail(ErrorKind::internal, std::string("graph search: ") + error.what());
      }
    }
    const auto all = rows();
    return order_exactly<Neighbor>(
        found.take(), k,
        [&](std::uint64_t id) {
          return Neighbor{exact_distance(query, all, id), id};
        },
        [](const Neighbor& a, const Neighbor& b) {
          return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
        });
  }

  std::uint64_t size() const override { return graph_.cur_element_count; }
  std::uint32_t dim() const override { return space_.dim; }
  Metric metric() const override { return space_.metric; }
  std::size_t resident_bytes() const override {
    // Links of the upper levels: one list for each level above the ground, 1 / (m - 1) on average.
    const std::size_t upper = graph_.size_links_per_element_ / std::max<std::size_t>(graph_.M_, 2);
    return graph_.max_elements_ * (graph_.size_data_per_element_ + upper + sizeof(void*) +
                                   sizeof(int) + sizeof(std::mutex) + sizeof(float));
  }

 private:
  // The points inside the graph; ids equal its internal numbers since points came in that order.
  kernels::Rows rows() const {
    const char* first = graph_.data_level0_memory_ + graph_.offsetData_;
    return {reinterpret_cast<const std::byte*>(first), graph_.cur_element_count,
            graph_.size_data_per_element_, space_.dim, kernels::RowType::f32};
  }

  void scan_all(const Query& query, Contenders& found) const {
    std::vector<float> distances(size());
    float_distances(query, rows(), inverse_.data(), distances.data());
    found.add_block(distances, 0, nullptr);
  }

  // hnswlib takes the breadth from max(ef of the whole graph, k), so breadth asked as k makes it a
  // choice of each query without a write to shared state.
  void walk(const Query& query, std::size_t breadth, Contenders& found) const {
    std::vector<float> point(query.for_ranking(), query.for_ranking() + dim());
    point.push_back(1.0F);
    auto nearest = graph_.searchKnn(point.data(), std::min<std::size_t>(breadth, size()));
    for (; !nearest.empty(); nearest.pop()) found.add(nearest.top().first, nearest.top().second);
  }

  Space space_;
  Graph graph_;
  std::vector<float> inverse_;  // cosine only
};

}  // namespace

std::unique_ptr<VectorSearch> make_hnsw(const kernels::Rows& rows, Metric metric,
                                        const HnswOptions& options) {
  // hnswlib numbers points in 32 bits.
  VARVE_ASSERT(rows.count < std::numeric_limits<std::uint32_t>::max());
  try {
    return std::make_unique<HnswSearch>(rows, metric, options);
  } catch (const std::exception& error) {
    // It throws when memory runs out, which ends the process elsewhere too.
    base::assertion_failed(error.what(), __FILE__, __LINE__);
  }
}

}  // namespace varve::ann
