// Exact answers at the price of a float32 scan. Every row is scored in float32; those whose score
// is within the rounding error of the k-th are scored again in double, which decides the order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/distance.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::ann {

// A query that passed the checks, with what every distance needs. Copyable, immutable.
struct Query {
  Metric metric = Metric::euclidean;
  std::vector<float> values;  // as given
  std::vector<float> unit;    // cosine only: of length 1
  double norm = 0;            // cosine only: the Euclidean length of `values`

  // What centroids are ranked by: Euclidean distance to it ranks like the metric.
  const float* for_ranking() const {
    return metric == Metric::cosine ? unit.data() : values.data();
  }
};

// `invalid`: not `dim` values, one is not finite, or all are zero under cosine.
Result<Query> make_query(std::span<const float> values, std::uint32_t dim, Metric metric);

// One over the length of each row, for float_distances under cosine; 0 for a zero row (its distance
// is 1), NaN where float32 cannot hold the arithmetic (such rows are always scored in double).
std::vector<float> inverse_norms(const kernels::Rows& rows);

// out[i]: squared Euclidean distance, or 1 - cosine, in float32. `inverse` is read under cosine
// only.
void float_distances(const Query& query, const kernels::Rows& rows, const float* inverse,
                     float* out);

// The same in double, at least 0: the definition of the order of exact answers.
double exact_distance(const Query& query, const kernels::Rows& rows, std::size_t row);

// Bound of |float_distances - true distance|: relative * distance + absolute.
struct FloatError {
  float relative = 0;
  float absolute = 0;
};
FloatError float_error(Metric metric, std::uint32_t dim);

// Keeps every row that may be among the k nearest when float32 distances carry an error: a superset
// of the k nearest and of all that tie with the k-th. Few more than k unless very many rows are
// nearly equal. One thread.
class Contenders {
 public:
  // REQUIRES: k > 0.
  Contenders(std::size_t k, FloatError error);

  // Ids base_id + i for every i whose bit in `skip` (64 rows a word; may be null) is 0.
  void add_block(std::span<const float> distances, std::uint64_t base_id,
                 const std::uint64_t* skip);
  void add(float distance, std::uint64_t id);
  // A row beyond this float distance is not among the k nearest.
  float limit() const { return limit_; }
  // Ids in no order; leaves the object empty.
  std::vector<std::uint64_t> take();

 private:
  struct Held {
    float distance;
    std::uint64_t id;
  };
  void shrink();

  std::size_t k_;
  FloatError error_;
  float limit_ = std::numeric_limits<float>::infinity();
  std::size_t shrink_at_;
  std::vector<Held> held_;
};

// Sorts by what `before` says of two scored items and keeps the first k. `score` turns an id into
// an item, for example {exact distance, id}, or {exact distance, key} where ties go by key.
template <class Item, class Score, class Before>
std::vector<Item> order_exactly(std::span<const std::uint64_t> ids, std::size_t k, Score score,
                                Before before) {
  std::vector<Item> items;
  items.reserve(ids.size());
  for (const std::uint64_t id : ids) items.push_back(score(id));
  const std::size_t kept = std::min(k, items.size());
  std::partial_sort(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(kept), items.end(),
                    before);
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(kept), items.end());
  return items;
}

}  // namespace varve::ann
