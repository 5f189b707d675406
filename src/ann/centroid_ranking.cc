#include "ann/centroid_ranking.h"

#include <algorithm>
#include <limits>

#include "kernels/distance.h"
#include "kernels/select.h"

namespace varve::ann {
namespace {

using kernels::kSignBlockRows;

constexpr float kAll = std::numeric_limits<float>::infinity();
// Up to here, codes are not looked at: comparing all costs as much.
constexpr std::size_t kPlainMax = 32;

// Covers the rounding of a ratio of square roots.
constexpr float kRounding = 1 + 1e-5F;

struct Scratch {
  std::vector<float> estimates, lowers, uppers;
  std::vector<std::uint32_t> places;  // of those that may be visited, `count` of them
  std::size_t count = 0;
  std::vector<float> distances;

  void select(float limit) {
    count = kernels::places_within({lowers.data(), places.size() - 1}, limit, places.data());
  }
  // The k-th upper bound of those that are selected.
  float kth_upper(std::size_t k) {
    uppers.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const float upper = 2 * estimates[places[i]] - lowers[places[i]];
      uppers[i] = upper < kAll ? upper : kAll;  // no NaN
    }
    const auto kth = uppers.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(uppers.begin(), kth, uppers.end());
    return *kth;
  }
};

bool nearer(const CentroidSet::Ranked& a, const CentroidSet::Ranked& b) {
  return a.distance != b.distance ? a.distance < b.distance : a.index < b.index;
}

std::vector<float> mean_of(const CentroidSet& centroids) {
  std::vector<double> sums(centroids.dim());
  for (std::size_t c = 0; c < centroids.size(); ++c) {
    for (std::uint32_t j = 0; j < centroids.dim(); ++j) {
      sums[j] += static_cast<double>(centroids.centroid(c)[j]);
    }
  }
  std::vector<float> mean;
  for (const double sum : sums) {
    mean.push_back(static_cast<float>(sum / static_cast<double>(centroids.size())));
  }
  return mean;
}

}  // namespace

CentroidRanking::CentroidRanking(const CentroidSet& centroids, const kernels::Rotation& rotation)
    : centroids_(&centroids) {
  if (centroids.size() <= kPlainMax) return;
  mean_ = mean_of(centroids);
  const std::uint32_t padded_dim = rotation.padded_dim();
  const std::size_t block_bytes = kernels::sign_block_bytes(padded_dim);
  const std::size_t blocks = (centroids.size() + kSignBlockRows - 1) / kSignBlockRows;
  blocks_ = base::Buffer(blocks * block_bytes);
  std::fill_n(blocks_.data(), blocks_.size(), std::byte{0});
  std::vector<float> difference(mean_.size()), rotated(padded_dim), rotated_mean(padded_dim);
  rotation.apply(mean_.data(), rotated_mean.data());
  for (std::size_t c = 0; c < centroids.size(); ++c) {
    const auto centroid = centroids.centroid(c);
    for (std::size_t j = 0; j < mean_.size(); ++j) difference[j] = centroid[j] - mean_[j];
    rotation.apply(difference.data(), rotated.data());
    kernels::encode_signs(rotated.data(), rotated_mean.data(), padded_dim, c % kSignBlockRows,
                          blocks_.data() + c / kSignBlockRows * block_bytes);
  }
}

void CentroidRanking::rank(const float* query, const kernels::SignTable& table,
                           const ProbePlan& plan, std::vector<CentroidSet::Ranked>& out) const {
  const std::size_t size = centroids_->size();
  const std::size_t least = std::max<std::size_t>(plan.nprobe_min, 1);
  if (blocks_.size() == 0 || least >= size) {
    centroids_->rank(query, plan.nprobe, out);
    return out.resize(probes_of(plan, out));
  }
  thread_local Scratch scratch;
  const std::size_t padded = (size + kSignBlockRows - 1) / kSignBlockRows * kSignBlockRows;
  scratch.estimates.resize(padded);
  scratch.lowers.resize(padded);
  scratch.places.resize(size + 1);
  const float to_mean = kernels::squared_l2_one(query, mean_.data(), centroids_->dim());
  kernels::estimate_signs(table, blocks_.data(), size, to_mean, scratch.estimates.data(),
                          scratch.lowers.data());

  // All within the ratio of the distance to one that is about the nearest, at least as many as the
  // plan visits at least, and none beyond as many as it visits at most.
  float limit = kAll;
  if (least < plan.nprobe) {
    const std::size_t near = kernels::place_of_least({scratch.estimates.data(), size});
    const float distance =
        kernels::squared_l2_one(query, centroids_->centroid(near).data(), centroids_->dim());
    limit = plan.ratio * plan.ratio * kRounding * distance;
    scratch.select(limit);
    const bool is_too_few = scratch.count < least;
    if (is_too_few) scratch.select(kAll);
    const float floor = scratch.kth_upper(least);
    if (is_too_few || floor > limit) {
      limit = std::max(limit, floor);
      scratch.select(limit);
    }
  } else {
    scratch.select(kAll);
  }
  if (scratch.count > plan.nprobe) {
    const float cap = scratch.kth_upper(plan.nprobe);
    if (cap < limit) scratch.select(cap);
  }

  const std::size_t count = scratch.count;
  scratch.distances.resize(count);
  kernels::squared_l2_at(query,
                         kernels::rows_of(centroids_->values().data(), size, centroids_->dim()),
                         {scratch.places.data(), count}, scratch.distances.data());
  out.resize(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = {scratch.distances[i], scratch.places[i]};
  std::sort(out.begin(), out.end(), nearer);
  out.resize(std::min<std::size_t>(plan.nprobe, count));
  out.resize(probes_of(plan, out));
}

}  // namespace varve::ann
