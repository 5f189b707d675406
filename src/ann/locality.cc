#include <algorithm>
#include <limits>
#include <numeric>

#include "ann/kmeans.h"
#include "base/random.h"

namespace varve::ann {
namespace {

constexpr std::size_t kLeafCentroids = 8;

// Halves the list by position along the line between two far members, again and again; the halves
// are turned so that the one nearer to what stands before them comes first.
class Bisection {
 public:
  Bisection(const CentroidSet& set, std::uint64_t seed) : set_(set), random_(seed) {}

  std::vector<std::uint32_t> order() {
    std::vector<std::uint32_t> items(set_.size());
    std::iota(items.begin(), items.end(), 0U);
    split(items);
    return items;
  }

 private:
  float distance(std::uint32_t a, std::uint32_t b) const {
    float result = 0;
    kernels::squared_l2(set_.centroid(a).data(),
                        kernels::rows_of(set_.centroid(b).data(), 1, set_.dim()), &result);
    return result;
  }

  std::uint32_t farthest(std::span<const std::uint32_t> items, std::uint32_t from) const {
    std::uint32_t best = items[0];
    float best_distance = -1;
    for (const std::uint32_t item : items) {
      const float d = distance(from, item);
      if (!(d > best_distance)) continue;
      best = item;
      best_distance = d;
    }
    return best;
  }

  // Sorts by d(a) - d(b), which is the position along the line from a to b.
  void sort_along(std::span<std::uint32_t> items, std::uint32_t a, std::uint32_t b) const {
    std::vector<std::pair<float, std::uint32_t>> keyed;
    keyed.reserve(items.size());
    for (const std::uint32_t item : items) {
      const float key = distance(a, item) - distance(b, item);
      keyed.emplace_back(key == key ? key : 0.0F, item);
    }
    std::sort(keyed.begin(), keyed.end());
    for (std::size_t i = 0; i < items.size(); ++i) items[i] = keyed[i].second;
  }

  // Recursion ends: each half is smaller, and its depth is the logarithm of the count.
  void split(std::span<std::uint32_t> items) {
    if (items.size() <= kLeafCentroids) {
      chain(items);
      return;
    }
    const std::uint32_t any = items[random_.below(items.size())];
    std::uint32_t a = farthest(items, any);
    std::uint32_t b = farthest(items, a);
    if (has_last_ && distance(last_, b) < distance(last_, a)) std::swap(a, b);
    sort_along(items, a, b);
    split(items.first(items.size() / 2));
    split(items.subspan(items.size() / 2));
  }

  // Greedy: next comes the one nearest to the one before.
  void chain(std::span<std::uint32_t> items) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (has_last_) {
        auto best = items.begin() + static_cast<std::ptrdiff_t>(i);
        float best_distance = std::numeric_limits<float>::infinity();
        for (auto it = best; it != items.end(); ++it) {
          const float d = distance(last_, *it);
          if (!(d < best_distance)) continue;
          best = it;
          best_distance = d;
        }
        std::swap(items[i], *best);
      }
      last_ = items[i];
      has_last_ = true;
    }
  }

  const CentroidSet& set_;
  base::Random random_;
  std::uint32_t last_ = 0;
  bool has_last_ = false;
};

}  // namespace

// The work is a logarithm of passes over the centroids, milliseconds at thousands: one thread does.
std::vector<std::uint32_t> locality_order(const CentroidSet& centroids, std::uint64_t seed,
                                          base::Pool& /*pool*/) {
  return Bisection(centroids, seed).order();
}

}  // namespace varve::ann
