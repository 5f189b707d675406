#include "ann/centroid_ranking.h"

#include <algorithm>
#include <bit>
#include <cmath>
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
// How a limit grows that leaves too few, and how often before it is given up.
constexpr float kWiden = 1.2F;
constexpr int kWidenings = 6;
// Of the error of a code, in bounds of it. A centroid that this misses is one of the last, at about
// the distance of the one in its place: fewer centroids to compare, and the same recall.
constexpr float kTightness = 0.5F;
// Where fewer are visited, each of them counts; codes of fewer dimensions miss more.
constexpr std::uint32_t kTightFrom = 4;
constexpr std::uint32_t kTightDimMin = 256;

}  // namespace

struct RankingScratch {
  std::vector<float> estimates, lowers, uppers;
  std::vector<std::uint32_t> places;  // of those that may be visited, `count` of them
  std::size_t count = 0;
  std::vector<float> distances;
  std::vector<std::uint64_t> keys;
  LevelScratch levels;

  void tighten(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      lowers[i] = estimates[i] - kTightness * (estimates[i] - lowers[i]);
    }
  }
  void select(float limit) {
    count = kernels::places_within({lowers.data(), places.size() - 1}, limit, places.data());
  }
  float upper(std::size_t place) const { return 2 * estimates[place] - lowers[place]; }
  // At least k upper bounds of the first `size` are within it, or all, and few more.
  float kth_upper_of(std::size_t size, std::size_t k) {
    uppers.resize(size);
    for (std::size_t i = 0; i < size; ++i) uppers[i] = upper(i);
    return kernels::about_kth_least(uppers, k);
  }
  // Of those that are selected.
  float kth_upper(std::size_t k) {
    uppers.resize(count);
    for (std::size_t i = 0; i < count; ++i) uppers[i] = upper(places[i]);
    return kernels::about_kth_least(uppers, k);
  }
};

namespace {

// Sorts like distance, then index: the bits of numbers that are not negative do.
std::uint64_t key_of(float distance, std::uint32_t index) {
  return std::uint64_t{std::bit_cast<std::uint32_t>(distance)} << 32 | index;
}

CentroidSet::Ranked ranked_of(std::uint64_t key) {
  return {std::bit_cast<float>(static_cast<std::uint32_t>(key >> 32)),
          static_cast<std::uint32_t>(key)};
}

std::vector<float> mean_of(const CentroidSet& centroids) {
  std::vector<double> sums(centroids.dim());
  for (std::size_t c = 0; c < centroids.size(); ++c) {
    for (std::uint32_t j = 0; j < centroids.dim(); ++j) {
      sums[j] += static_cast<double>(centroids.centroid(c)[j]);
    }
  }
  std::vector<float> mean;
  mean.reserve(sums.size());
  for (const double sum : sums) {
    mean.push_back(static_cast<float>(sum / static_cast<double>(centroids.size())));
  }
  return mean;
}

}  // namespace

CentroidRanking::CentroidRanking(const CentroidSet& centroids, const kernels::Rotation& rotation,
                                 std::size_t levels_from)
    : centroids_(&centroids) {
  if (centroids.size() <= kPlainMax) return;
  mean_ = mean_of(centroids);
  const std::uint32_t padded_dim = rotation.padded_dim();
  const std::size_t blocks = (centroids.size() + kSignBlockRows - 1) / kSignBlockRows;
  blocks_ = base::Buffer(blocks * kernels::sign_block_bytes(padded_dim));
  std::fill_n(blocks_.data(), blocks_.size(), std::byte{0});
  std::vector<float> difference(mean_.size()), rotated_mean(padded_dim);
  std::vector<float> rotated(centroids.size() * padded_dim);
  rotation.apply(mean_.data(), rotated_mean.data());
  for (std::size_t c = 0; c < centroids.size(); ++c) {
    const auto centroid = centroids.centroid(c);
    for (std::size_t j = 0; j < mean_.size(); ++j) difference[j] = centroid[j] - mean_[j];
    rotation.apply(difference.data(), rotated.data() + c * padded_dim);
  }
  kernels::encode_sign_rows(rotated.data(), centroids.size(), rotated_mean.data(), padded_dim,
                            blocks_.data());
  if (centroids.size() < levels_from) return;
  rotated = {};
  levels_ = CentroidLevels(
      centroids, rotation,
      [&](const float* query, std::size_t count, std::vector<CentroidSet::Ranked>& out) {
        std::vector<float> turned(padded_dim);
        rotation.apply(query, turned.data());
        kernels::SignTable table;
        table.set(turned.data(), padded_dim);
        RankingScratch scratch;
        const auto nprobe = static_cast<std::uint32_t>(count);
        rank_flat(query, table, {nprobe, nprobe, kAll}, false, scratch, out);
      });
}

void CentroidRanking::rank(const float* query, const kernels::SignTable& table,
                           const ProbePlan& plan, std::vector<CentroidSet::Ranked>& out) const {
  const std::size_t size = centroids_->size();
  const std::size_t least = std::max<std::size_t>(plan.nprobe_min, 1);
  if (blocks_.size() == 0 || least >= size) {
    centroids_->rank(query, plan.nprobe, out);
    return out.resize(probes_of(plan, out));
  }
  thread_local RankingScratch scratch;
  if (levels_.is_for(plan) && levels_.walk(query, table, plan, scratch.levels)) {
    compare_hits(query, plan, least, scratch);
    return order(plan, least, scratch, out);
  }
  const bool is_tight = plan.nprobe >= kTightFrom && centroids_->dim() >= kTightDimMin;
  rank_flat(query, table, plan, is_tight, scratch, out);
}

// Those that seem nearest give a limit to the others.
void CentroidRanking::compare_hits(const float* query, const ProbePlan& plan, std::size_t least,
                                   RankingScratch& scratch) const {
  const std::span hits(scratch.levels.hits.data(), scratch.levels.count);
  const std::size_t first = std::min({hits.size(), std::size_t{plan.nprobe}, least});
  if (first < hits.size()) {
    std::nth_element(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(first), hits.end(),
                     [](const auto& a, const auto& b) { return a.estimate < b.estimate; });
  }
  const auto rows =
      kernels::rows_of(centroids_->values().data(), centroids_->size(), centroids_->dim());
  scratch.places.resize(hits.size());
  scratch.distances.resize(hits.size());
  for (std::size_t i = 0; i < first; ++i) scratch.places[i] = hits[i].row;
  const std::span nearest(scratch.distances.data(), first);
  kernels::squared_l2_at(query, rows, {scratch.places.data(), first}, nearest.data());
  const auto [near, far] = std::minmax_element(nearest.begin(), nearest.end());
  const float limit =
      least < plan.nprobe ? std::max(plan.ratio * plan.ratio * kRounding * *near, *far) : *far;
  scratch.count = first;
  for (std::size_t i = first; i < hits.size(); ++i) {
    if (!(hits[i].lower > limit)) scratch.places[scratch.count++] = hits[i].row;
  }
  kernels::squared_l2_at(query, rows, {scratch.places.data() + first, scratch.count - first},
                         scratch.distances.data() + first);
}

void CentroidRanking::rank_flat(const float* query, const kernels::SignTable& table,
                                const ProbePlan& plan, bool is_tight, RankingScratch& scratch,
                                std::vector<CentroidSet::Ranked>& out) const {
  const std::size_t least = std::max<std::size_t>(plan.nprobe_min, 1);
  const std::size_t size = centroids_->size();
  const std::size_t padded = (size + kSignBlockRows - 1) / kSignBlockRows * kSignBlockRows;
  scratch.estimates.resize(padded);
  scratch.lowers.resize(padded);
  scratch.places.resize(size + 1);
  const float to_mean = kernels::squared_l2_one(query, mean_.data(), centroids_->dim());
  kernels::estimate_signs(table, blocks_.data(), size, to_mean, scratch.estimates.data(),
                          scratch.lowers.data());

  if (is_tight) scratch.tighten(size);
  scratch.select(first_limit(query, plan, least, scratch));
  if (least < plan.nprobe && scratch.count > plan.nprobe) {
    scratch.select(scratch.kth_upper(plan.nprobe));
  }

  scratch.distances.resize(scratch.count);
  kernels::squared_l2_at(query,
                         kernels::rows_of(centroids_->values().data(), size, centroids_->dim()),
                         {scratch.places.data(), scratch.count}, scratch.distances.data());
  order(plan, least, scratch, out);
}

// All within the ratio of the distance to one that is about the nearest, and at least as many as
// the plan visits at least.
float CentroidRanking::first_limit(const float* query, const ProbePlan& plan, std::size_t least,
                                   RankingScratch& scratch) const {
  const std::size_t size = centroids_->size();
  if (least >= plan.nprobe) return scratch.kth_upper_of(size, plan.nprobe);
  const std::size_t near = kernels::place_of_least({scratch.estimates.data(), size});
  const float distance =
      kernels::squared_l2_one(query, centroids_->centroid(near).data(), centroids_->dim());
  const float in_ratio = plan.ratio * plan.ratio * kRounding * distance;
  float wide = in_ratio;
  scratch.select(wide);
  for (int i = 0; scratch.count < 2 * least; ++i) {
    wide = i < kWidenings ? kWiden * wide : kAll;
    scratch.select(wide);
    if (wide == kAll) break;
  }
  return std::max(in_ratio, scratch.kth_upper(least));
}

void CentroidRanking::order(const ProbePlan& plan, std::size_t least, RankingScratch& scratch,
                            std::vector<CentroidSet::Ranked>& out) {
  const std::span distances(scratch.distances.data(), scratch.count);
  // What the plan does not visit need not be sorted.
  float limit =
      plan.ratio * plan.ratio * kRounding * *std::min_element(distances.begin(), distances.end());
  const auto within = std::count_if(distances.begin(), distances.end(),
                                    [limit](float distance) { return distance <= limit; });
  if (static_cast<std::size_t>(within) < least) limit = kAll;
  scratch.keys.clear();
  for (std::size_t i = 0; i < scratch.count; ++i) {
    if (!(distances[i] > limit)) scratch.keys.push_back(key_of(distances[i], scratch.places[i]));
  }
  std::sort(scratch.keys.begin(), scratch.keys.end());
  out.clear();
  for (const std::uint64_t key : scratch.keys) {
    if (out.size() == plan.nprobe) break;
    out.push_back(ranked_of(key));
  }
  out.resize(probes_of(plan, out));
}

}  // namespace varve::ann
