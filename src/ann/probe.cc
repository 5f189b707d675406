#include "ann/probe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/assert.h"

namespace varve::ann {
namespace {

constexpr std::array<float, 10> kRecalls = {0.80F, 0.85F, 0.90F, 0.93F,  0.95F,
                                            0.97F, 0.98F, 0.99F, 0.995F, 0.999F};
constexpr std::array<std::uint32_t, 2> kCounts = {10, 100};
// Stands for the distance of a query that lies on a centroid; squared.
constexpr float kTinySquared = 1e-30F;
// The cap of a plan, in multiples of the clusters that a plain count would need. With a higher cap
// the ratio stops easy queries and queries unlike the rows, which see all centroids at about one
// distance, go on; but where the ratio tells little, all queries then pay for it.
constexpr std::array<double, 3> kCapFactors = {2, 1.5, 1};
// What the higher cap may cost over the cheapest plan.
constexpr double kRobustCost = 1.1;
// Ratios above this do not tell queries apart; below 1 there are none.
constexpr float kRatioMax = 64;
// One-sided 90 % bound of a normal mean: few held-out queries ask for more clusters.
constexpr double kSigmas = 1.28;

std::uint32_t floor_of(std::uint32_t nprobe) { return std::min(nprobe, 4 + nprobe / 16); }

// What one held-out query finds and costs after each number of visited clusters.
struct Curve {
  std::vector<float> ratios;         // distance of rank i over that of rank 0
  std::vector<std::uint16_t> found;  // neighbours in the first i clusters
  std::vector<std::uint64_t> rows;   // rows of the first i clusters
  std::uint32_t wanted = 0;
  bool mixed = false;

  std::size_t visited(std::uint32_t nprobe, float ratio) const {
    const auto in_ratio = static_cast<std::size_t>(
        std::upper_bound(ratios.begin(), ratios.end(), ratio) - ratios.begin());
    const std::size_t cap = std::min<std::size_t>(nprobe, ratios.size());
    return std::clamp<std::size_t>(in_ratio, std::min<std::size_t>(floor_of(nprobe), cap), cap);
  }
};

Curve curve_of(const CentroidSet& centroids, std::span<const std::uint32_t> cluster_rows,
               const HeldOut& held_out, std::uint32_t k) {
  Curve curve;
  curve.mixed = held_out.mixed;
  std::vector<CentroidSet::Ranked> ranked;
  centroids.rank(held_out.query.data(), centroids.size(), ranked);
  std::vector<std::uint16_t> hits(centroids.size(), 0);
  curve.wanted =
      static_cast<std::uint32_t>(std::min<std::size_t>(k, held_out.neighbor_clusters.size()));
  for (std::uint32_t i = 0; i < curve.wanted; ++i) {
    VARVE_ASSERT(held_out.neighbor_clusters[i] < centroids.size());
    ++hits[held_out.neighbor_clusters[i]];
  }
  curve.ratios.reserve(ranked.size());
  curve.found.assign(ranked.size() + 1, 0);
  curve.rows.assign(ranked.size() + 1, 0);
  const float nearest = std::max(ranked[0].distance, kTinySquared);
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    curve.ratios.push_back(std::sqrt(ranked[i].distance / nearest));
    curve.found[i + 1] = static_cast<std::uint16_t>(curve.found[i] + hits[ranked[i].index]);
    curve.rows[i + 1] = curve.rows[i] + cluster_rows[ranked[i].index];
  }
  return curve;
}

// What a plan must find on average.
struct Goal {
  double rows = 0;   // for queries that are rows, less the uncertainty of the mean
  double mixed = 0;  // for mixed ones
};

bool reaches(std::span<const Curve> curves, std::uint32_t nprobe, float ratio, const Goal& goal) {
  std::array<double, 2> count{}, sum{}, squares{};
  for (const Curve& curve : curves) {
    const double share =
        static_cast<double>(curve.found[curve.visited(nprobe, ratio)]) / curve.wanted;
    const std::size_t kind = curve.mixed ? 1 : 0;
    count[kind] += 1;
    sum[kind] += share;
    squares[kind] += share * share;
  }
  if (count[1] > 0 && sum[1] / count[1] < goal.mixed) return false;
  if (count[0] == 0) return true;
  const double mean = sum[0] / count[0];
  const double variance = std::max(0.0, squares[0] / count[0] - mean * mean);
  return mean - kSigmas * std::sqrt(variance / count[0]) >= goal.rows;
}

constexpr float kNoRatio = std::numeric_limits<float>::infinity();

// The least number of clusters, without a ratio, that reaches the goal. Binary search: a plan that
// visits more finds more.
std::uint32_t least_nprobe(std::span<const Curve> curves, std::uint32_t clusters,
                           const Goal& goal) {
  std::uint32_t low = 1;
  std::uint32_t high = clusters;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (reaches(curves, middle, kNoRatio, goal)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

// The least ratio that reaches the goal under a cap that does. Bisects the logarithm.
float least_ratio(std::span<const Curve> curves, std::uint32_t nprobe, const Goal& goal) {
  float low = 1;
  float high = kRatioMax;
  if (!reaches(curves, nprobe, high, goal)) return std::numeric_limits<float>::max();
  // 20 halvings take the interval below a hundred thousandth.
  for (int i = 0; i < 20; ++i) {
    const float middle = std::sqrt(low * high);
    if (reaches(curves, nprobe, middle, goal)) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}

double mean_rows(std::span<const Curve> curves, std::uint32_t nprobe, float ratio) {
  double sum = 0;
  for (const Curve& curve : curves) {
    sum += static_cast<double>(curve.rows[curve.visited(nprobe, ratio)]);
  }
  return sum / static_cast<double>(curves.size());
}

// Of the plans that reach the goal, the one with the highest cap that is about the cheapest.
format::ProbePoint cheapest(std::span<const Curve> curves, std::uint32_t clusters,
                            const Goal& goal) {
  const std::uint32_t needed = least_nprobe(curves, clusters, goal);
  std::array<format::ProbePoint, kCapFactors.size()> points;
  std::array<double, kCapFactors.size()> costs;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto cap = static_cast<std::uint32_t>(std::ceil(kCapFactors[i] * needed));
    points[i].nprobe = std::min(clusters, cap);
    points[i].ratio = least_ratio(curves, points[i].nprobe, goal);
    costs[i] = mean_rows(curves, points[i].nprobe, points[i].ratio);
  }
  const double limit = kRobustCost * *std::min_element(costs.begin(), costs.end());
  const auto best = std::find_if(costs.begin(), costs.end(), [&](double c) { return c <= limit; });
  return points[static_cast<std::size_t>(best - costs.begin())];
}

}  // namespace

ProbePlan choose_probes(std::span<const format::ProbePoint> table, double recall, std::uint32_t k,
                        std::uint32_t clusters) {
  const ProbePlan all{clusters, clusters, kNoRatio};
  if (table.empty() || recall >= 1) return all;
  std::uint32_t k_max = 0;
  for (const auto& point : table) k_max = std::max(k_max, point.k);
  const std::uint32_t k_fitted = std::min(k, k_max);
  const format::ProbePoint* best = nullptr;
  for (const auto& point : table) {
    // A float holds 0.95 a little below the double.
    if (point.k < k_fitted || point.recall < static_cast<float>(recall)) continue;
    if (best == nullptr || point.k < best->k ||
        (point.k == best->k && point.recall < best->recall)) {
      best = &point;
    }
  }
  if (best == nullptr) return all;
  if (k <= k_max) {
    const std::uint32_t nprobe = std::clamp(best->nprobe, 1U, std::max(clusters, 1U));
    return {nprobe, floor_of(nprobe), best->ratio};
  }
  // More neighbours than were ever fitted fill more clusters, in proportion at worst.
  const double scaled = static_cast<double>(best->nprobe) * k / std::max(k_max, 1U);
  const auto nprobe = static_cast<std::uint32_t>(std::min<double>(scaled, clusters));
  return {nprobe, nprobe, kNoRatio};
}

std::size_t probes_of(const ProbePlan& plan, std::span<const CentroidSet::Ranked> ranked) {
  if (ranked.empty()) return 0;
  const float nearest = std::max(ranked[0].distance, kTinySquared);
  const std::size_t cap = std::min<std::size_t>(plan.nprobe, ranked.size());
  std::size_t count = std::min<std::size_t>(plan.nprobe_min, cap);
  while (count < cap && std::sqrt(ranked[count].distance / nearest) <= plan.ratio) ++count;
  return count;
}

void add_mixed_queries(std::uint32_t dim, Metric metric, std::vector<float>& queries,
                       std::vector<std::uint64_t>& self) {
  const std::size_t count = self.size();
  VARVE_ASSERT(queries.size() == count * dim);
  std::vector<float> middle(dim);
  for (std::size_t i = 0; i < count; i += 4) {
    const float* one = queries.data() + i * dim;
    const float* other = queries.data() + (i + count / 2) % count * dim;
    for (std::uint32_t j = 0; j < dim; ++j) middle[j] = one[j] / 2 + other[j] / 2;
    if (metric == Metric::cosine) {
      const double norm = std::sqrt(kernels::squared_norm_exact(middle.data(), dim));
      // Opposite vectors have no middle.
      if (norm < 1e-6) continue;
      for (float& x : middle) x = static_cast<float>(static_cast<double>(x) / norm);
    }
    queries.insert(queries.end(), middle.begin(), middle.end());
    self.push_back(TrueNeighbors::kNoSelf);
  }
}

std::vector<format::ProbePoint> fit_probes(const CentroidSet& centroids,
                                           std::span<const std::uint32_t> cluster_rows,
                                           std::span<const HeldOut> held_out, base::Pool& pool) {
  VARVE_ASSERT(cluster_rows.size() == centroids.size());
  std::vector<format::ProbePoint> table;
  if (centroids.size() == 0) return table;
  const auto clusters = static_cast<std::uint32_t>(centroids.size());
  for (const std::uint32_t k : kCounts) {
    std::vector<const HeldOut*> usable;
    for (const HeldOut& one : held_out) {
      if (one.neighbor_clusters.size() >= k) usable.push_back(&one);
    }
    if (usable.empty()) continue;
    std::vector<Curve> curves(usable.size());
    pool.parallel_for(curves.size(), [&](std::size_t i) {
      curves[i] = curve_of(centroids, cluster_rows, *usable[i], k);
    });
    for (const float recall : kRecalls) {
      // Half of what may be missed is kept for queries that are unlike all these.
      const Goal goal{(1.0 + static_cast<double>(recall)) / 2, recall};
      format::ProbePoint point = cheapest(curves, clusters, goal);
      point.recall = recall;
      point.k = k;
      table.push_back(point);
    }
  }
  return table;
}

}  // namespace varve::ann
