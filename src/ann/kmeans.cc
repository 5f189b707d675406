#include "ann/kmeans.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "ann/code_encoder.h"
#include "base/assert.h"
#include "base/random.h"

namespace varve::ann {
namespace {

// Early iterations only have to spread the centroids: a quarter of the rows does that as well.
constexpr std::size_t kCoarseStep = 4;
constexpr std::size_t kCoarseRowsPerClusterMin = 8;
// Clusters of fewer rows than this share of the mean, but for the last iterations, give up their
// centroids to those of more than that multiple. Rows scanned at equal recall fall by 6 to 15 %.
constexpr double kSmallShare = 0.5;
constexpr double kLargeShare = 1.6;
constexpr std::uint32_t kSettlingIterations = 2;
constexpr double kChangedShareMin = 0.005;
constexpr double kGainMin = 1e-3;

kernels::MatrixView every(kernels::MatrixView view, std::size_t step) {
  return {view.data, (view.count + step - 1) / step, view.stride * step};
}

// `count` different numbers below `bound`, by a partial Fisher-Yates shuffle.
std::vector<std::size_t> draw(std::size_t bound, std::size_t count, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<std::size_t> numbers(bound);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(numbers[i], numbers[i + random.below(bound - i)]);
  }
  numbers.resize(count);
  return numbers;
}

// Lloyd's iterations over one sample. Every sum runs over rows in ascending order, so the result
// does not depend on how many threads share the work.
class Lloyd {
 public:
  Lloyd(std::uint32_t dim, std::uint64_t seed, base::Pool& pool)
      : dim_(dim), pool_(pool), random_(seed) {}

  void start(kernels::MatrixView rows, std::size_t clusters, std::uint64_t seed) {
    centroids_.reserve(clusters * dim_);
    for (const std::size_t row : draw(rows.count, clusters, seed)) {
      const float* values = rows.data + row * rows.stride;
      centroids_.insert(centroids_.end(), values, values + dim_);
    }
  }

  // Splits large clusters at the cost of small ones: the centroid of a small one moves to a row of
  // a large one. After step() of the same rows.
  void even_out(kernels::MatrixView rows) {
    const double mean = static_cast<double>(rows.count) / static_cast<double>(clusters());
    std::vector<std::size_t> order(clusters());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return rows_of(a) < rows_of(b); });
    std::size_t large = order.size();
    for (const std::size_t small : order) {
      if (static_cast<double>(rows_of(small)) >= kSmallShare * mean) return;
      const std::size_t from = order[--large];
      if (static_cast<double>(rows_of(from)) <= kLargeShare * mean) return;
      const std::size_t row = members_[starts_[from] + random_.below(rows_of(from))];
      std::memcpy(centroids_.data() + small * dim_, rows.data + row * rows.stride,
                  dim_ * sizeof(float));
    }
  }

  // Moves the centroids to the means of their rows; false when that no longer helps.
  bool step(kernels::MatrixView rows) {
    const std::vector<std::uint32_t> before = std::move(nearest_);
    nearest_.assign(rows.count, 0);
    distances_.assign(rows.count, 0);
    CentroidSet(centroids_, dim_).assign(rows, nearest_, distances_, pool_);
    group_rows();
    move_to_means(rows);
    const bool reseeded = reseed_empty(rows);
    const double objective = std::accumulate(distances_.begin(), distances_.end(), 0.0);
    const bool same_rows = before.size() == nearest_.size();
    const bool goes_on = reseeded || !same_rows || improves(before, objective);
    objective_ = objective;
    return goes_on;
  }

  // Without the clusters that the last step left empty.
  std::vector<float> take() {
    // From the back, so that the places of the others stay.
    for (auto c = empty_.rbegin(); c != empty_.rend(); ++c) {
      const auto first = centroids_.begin() + static_cast<std::ptrdiff_t>(*c * dim_);
      centroids_.erase(first, first + static_cast<std::ptrdiff_t>(dim_));
    }
    return std::move(centroids_);
  }

 private:
  std::size_t clusters() const { return centroids_.size() / dim_; }
  std::size_t rows_of(std::size_t cluster) const { return starts_[cluster + 1] - starts_[cluster]; }

  bool improves(const std::vector<std::uint32_t>& before, double objective) const {
    std::size_t changed = 0;
    for (std::size_t i = 0; i < before.size(); ++i) changed += before[i] != nearest_[i];
    if (static_cast<double>(changed) < kChangedShareMin * static_cast<double>(before.size())) {
      return false;
    }
    return !(objective_ - objective < kGainMin * objective_);
  }

  // starts_[c] .. starts_[c + 1] in members_: the rows of cluster c, ascending.
  void group_rows() {
    starts_.assign(clusters() + 1, 0);
    for (const std::uint32_t c : nearest_) ++starts_[c + 1];
    std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    members_.resize(nearest_.size());
    auto next = starts_;
    for (std::size_t i = 0; i < nearest_.size(); ++i) members_[next[nearest_[i]]++] = i;
  }

  void move_to_means(kernels::MatrixView rows) {
    pool_.parallel_for(clusters(), [&](std::size_t c) {
      const std::size_t count = starts_[c + 1] - starts_[c];
      if (count == 0) return;
      float* mean = centroids_.data() + c * dim_;
      std::fill(mean, mean + dim_, 0.0F);
      for (std::size_t m = starts_[c]; m < starts_[c + 1]; ++m) {
        kernels::add_to(rows.data + members_[m] * rows.stride, dim_, mean);
      }
      // Division, not a product with the inverse: the mean of equal rows is that row.
      for (std::uint32_t j = 0; j < dim_; ++j) mean[j] /= static_cast<float>(count);
      const bool finite = std::all_of(mean, mean + dim_, [](float x) { return std::isfinite(x); });
      if (!finite) mean_in_double(rows, c, mean);
    });
  }

  // For values near the largest float, whose sum is not one.
  void mean_in_double(kernels::MatrixView rows, std::size_t c, float* mean) const {
    const auto count = static_cast<double>(starts_[c + 1] - starts_[c]);
    for (std::uint32_t j = 0; j < dim_; ++j) {
      double sum = 0;
      for (std::size_t m = starts_[c]; m < starts_[c + 1]; ++m) {
        sum += static_cast<double>(rows.data[members_[m] * rows.stride + j]);
      }
      mean[j] = static_cast<float>(sum / count);
    }
  }

  // Gives each empty cluster one of the rows that are farthest from their centroids. A cluster for
  // which no such row is left keeps its place: another sample may have rows for it.
  bool reseed_empty(kernels::MatrixView rows) {
    empty_.clear();
    for (std::size_t c = 0; c < clusters(); ++c) {
      if (starts_[c] == starts_[c + 1]) empty_.push_back(c);
    }
    if (empty_.empty()) return false;
    const auto seeds = farthest_rows(rows, empty_.size());
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      std::memcpy(centroids_.data() + empty_[i] * dim_, rows.data + seeds[i] * rows.stride,
                  dim_ * sizeof(float));
    }
    empty_.erase(empty_.begin(), empty_.begin() + static_cast<std::ptrdiff_t>(seeds.size()));
    return !seeds.empty();
  }

  // Up to `count` rows with different values, none on its centroid, farthest first.
  std::vector<std::size_t> farthest_rows(kernels::MatrixView rows, std::size_t count) const {
    std::vector<std::size_t> order(rows.count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return distances_[a] != distances_[b] ? distances_[a] > distances_[b] : a < b;
    });
    std::vector<std::size_t> seeds;
    for (const std::size_t row : order) {
      if (seeds.size() == count || !(distances_[row] > 0)) break;
      const float* values = rows.data + row * rows.stride;
      // Equal rows lie at equal distance, so they stand next to each other in the order.
      const bool repeated = std::any_of(seeds.rbegin(), seeds.rend(), [&](std::size_t seed) {
        return distances_[seed] == distances_[row] &&
               std::equal(values, values + dim_, rows.data + seed * rows.stride);
      });
      if (!repeated) seeds.push_back(row);
    }
    return seeds;
  }

  std::uint32_t dim_;
  base::Pool& pool_;
  base::Random random_;
  std::vector<float> centroids_;
  std::vector<std::uint32_t> nearest_;
  std::vector<float> distances_;
  std::vector<std::size_t> starts_;
  std::vector<std::size_t> members_;
  std::vector<std::size_t> empty_;  // clusters without rows and without a new seed, ascending
  double objective_ = 0;
};

}  // namespace

// Up to here clusters grow faster than the square root of the rows.
constexpr double kSteepRowsMax = 1e6;
constexpr double kExponent = 0.75;
constexpr double kPlainFactor = 0.2;
constexpr double kCodedFactor = 0.07;

std::uint32_t cluster_count(std::uint64_t rows, std::uint32_t dim) {
  if (rows <= kFlatRowsMax) return 1;
  const double factor = dim < kSignDimMin ? kPlainFactor : kCodedFactor;
  const auto n = static_cast<double>(rows);
  const double steep = std::pow(std::min(n, kSteepRowsMax), kExponent);
  return static_cast<std::uint32_t>(
      std::lround(factor * steep * std::sqrt(std::max(1.0, n / kSteepRowsMax))));
}

std::uint64_t cluster_rows_target(std::uint64_t rows, std::uint32_t dim) {
  if (rows <= kFlatRowsMax) return kFlatRowsMax;
  const std::uint64_t clusters = cluster_count(rows, dim);
  return (rows + clusters - 1) / clusters;
}

std::vector<float> kmeans(kernels::MatrixView sample, std::uint32_t dim,
                          const KMeansOptions& options, base::Pool& pool) {
  if (sample.count == 0 || dim == 0) return {};
  const std::size_t clusters =
      std::min<std::size_t>(std::max<std::uint32_t>(options.clusters, 1), sample.count);
  Lloyd lloyd(dim, options.seed, pool);
  lloyd.start(sample, clusters, options.seed);
  const std::uint32_t iterations = std::max<std::uint32_t>(options.iterations_max, 1);
  const auto coarse = every(sample, kCoarseStep);
  std::uint32_t done = 0;
  if (coarse.count >= kCoarseRowsPerClusterMin * clusters) {
    while (done < iterations / 2) {
      ++done;
      if (!lloyd.step(coarse)) break;
      if (done + kSettlingIterations < iterations) lloyd.even_out(coarse);
    }
  }
  while (done++ < iterations && lloyd.step(sample)) {
    if (done + kSettlingIterations < iterations) lloyd.even_out(sample);
  }
  return lloyd.take();
}

}  // namespace varve::ann
