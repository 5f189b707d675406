// Finds the nearest rows among vectors held in memory. The algorithm is a choice of the caller.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/pool.h"
#include "base/result.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::ann {

// `id` is the number of the row in the order given at construction.
struct Neighbor {
  double distance = 0;  // squared Euclidean, or 1 - cosine
  std::uint64_t id = 0;
};

// How much work a search may spend. Each algorithm reads what concerns it.
struct Effort {
  bool exact = false;        // all: every row, order decided in double
  std::uint32_t nprobe = 0;  // clustered: clusters to visit; 0: from `recall`
  std::uint32_t ef = 0;      // hnsw: breadth of the search; 0: from `recall`
  double recall = 0.95;
  // coded with extra bits: answer by the codes, without a look at a row; distances are estimates.
  bool codes_only = false;
};

// Immutable after construction. Thread-safe.
class VectorSearch {
 public:
  virtual ~VectorSearch() = default;
  // The k nearest, nearest first, ties by smaller id; fewer if there are fewer rows. `invalid`: the
  // query has not dim() finite values, or is zero under cosine, or k is 0.
  virtual Result<std::vector<Neighbor>> search(std::span<const float> query, std::uint32_t k,
                                               const Effort& effort) const = 0;
  virtual std::uint64_t size() const = 0;
  virtual std::uint32_t dim() const = 0;
  virtual Metric metric() const = 0;
  virtual std::size_t resident_bytes() const = 0;
};

// Every row, every time. All searches borrow nothing: rows are copied in.
std::unique_ptr<VectorSearch> make_flat(const kernels::Rows& rows, Metric metric);

// hnswlib's graph with Varve's kernels. `ef_construction` and `m` as in the HNSW paper.
struct HnswOptions {
  std::uint32_t m = 16;
  std::uint32_t ef_construction = 200;
  std::uint64_t seed = 1;
};
std::unique_ptr<VectorSearch> make_hnsw(const kernels::Rows& rows, Metric metric,
                                        const HnswOptions& options);

// Centroids by k-means; clusters == 0: as cluster_count says. A cluster is a list of rows, or a
// graph over them: a VectorSearch each, of which the nearest are asked. `graph` is read then.
// docs/decisions/0025-graphs-inside-clusters.md says when graphs pay.
enum class Inside : std::uint8_t { rows, graph };
struct ClusteredOptions {
  std::uint32_t clusters = 0;
  std::uint64_t seed = 1;
  Inside inside = Inside::rows;
  HnswOptions graph = {};
};
std::unique_ptr<VectorSearch> make_clustered(const kernels::Rows& rows, Metric metric,
                                             const ClusteredOptions& options, base::Pool& pool);
// The same clusters, `inside` is not read; their rows are looked at by sign codes first, and only
// those that the codes leave by themselves. Beside the signs there may be extra bits: `extra_words`
// of a row (kernels/extra_codes.h), 0 for none.
struct CodedOptions {
  ClusteredOptions clusters;
  std::uint32_t extra_words = 0;
};
class CodedSearch : public VectorSearch {
 public:
  // What a search with `codes_only` needs: all but the rows.
  virtual std::size_t resident_bytes_of_codes() const = 0;
};
std::unique_ptr<CodedSearch> make_coded(const kernels::Rows& rows, Metric metric,
                                        const CodedOptions& options, base::Pool& pool);

}  // namespace varve::ann
