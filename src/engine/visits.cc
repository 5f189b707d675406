#include "engine/visits.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/generation.h"
#include "format/part.h"

namespace varve::engine {
namespace {

// Clusters are visited in steps this much larger while they do not give k hits.
constexpr std::size_t kWidenFactor = 4;

// The recall table is fitted up to this k; beyond it, clusters grow with this power of k.
constexpr double kFittedKMax = 100;
constexpr double kProbesPerK = 0.8;

// What a filter let through so far tells how many clusters it takes. No new round for less than
// this share more.
constexpr double kWidenShareMin = 0.25;

// Up to so many rows that match are compared, wherever they are: that costs less than finding out
// which of them are near. For large k, which takes more clusters, up to a multiple of it.
constexpr std::size_t kFewMatches = 256;
constexpr std::size_t kFewMatchesPerK = 4;

// Rows that a query visits at least when it asks for a share of the true neighbours. Scanning so
// few costs about as much as everything else in a query, and the recall table of a small index,
// fitted on few held-out rows, is not exact enough to save them.
std::size_t rows_min(double recall) {
  if (recall >= 0.99) return 4096;
  return recall >= 0.95 ? 2048 : 1024;
}

void raise_to_rows_min(const Generation& generation, double recall, ann::ProbePlan& plan) {
  const std::uint64_t rows = std::max<std::uint64_t>(1, generation.live_rows());
  const std::uint64_t clusters = generation.cluster_ids().size();
  const std::uint64_t least = std::min(clusters, (rows_min(recall) * clusters + rows - 1) / rows);
  plan.nprobe_min = std::max(plan.nprobe_min, static_cast<std::uint32_t>(least));
  plan.nprobe = std::max(plan.nprobe, plan.nprobe_min);
}

// What rounding to unit length moves a vector by, with room to spare.
constexpr double kUnitError = 1e-6;

std::size_t few_matches(std::uint32_t k) {
  return std::max(kFewMatches, kFewMatchesPerK * std::size_t{k});
}

}  // namespace

Status Visits::choose(const Question& question) {
  question_ = question;
  ranked_.clear();
  least_distances_.clear();
  VARVE_TRY(const bool is_chosen, visit_few_matches());
  if (is_chosen) return {};
  const Generation& generation = this->generation();
  const QueryOptions& options = *question_.options;
  const auto clusters = static_cast<std::uint32_t>(generation.cluster_ids().size());
  if (options.exact || clusters == 0) {
    visit_all();
  } else if (options.nprobe) {
    visit(*options.nprobe);
  } else {
    ann::ProbePlan plan =
        ann::choose_probes(generation.manifest().probe_table, options.recall, options.k, clusters);
    raise_to_rows_min(generation, options.recall, plan);
    // Runs say little about where a row is, so that often all of them have to be visited.
    const bool is_by_time = generation.manifest().order == ClusterOrder::time;
    if (plan.nprobe >= clusters && is_by_time && clusters > 1 && options.recall < 1 &&
        question_.filter == nullptr) {
      visit_ranked({clusters, clusters, 0});
      is_all_by_recall_ = true;
    } else if (plan.nprobe >= clusters) {
      visit_all();
    } else {
      visit_ranked(plan);
    }
  }
  return {};
}

void Visits::widen() { visit(clusters_ * kWidenFactor); }

// By the triangle inequality.
void Visits::find_least_distances() {
  const Generation& generation = this->generation();
  const ann::CentroidSet& centroids = generation.centroids();
  least_distances_.resize(centroids.size());
  const kernels::Rows rows =
      kernels::rows_of(centroids.values().data(), centroids.size(), centroids.dim());
  kernels::squared_l2(question_.query, rows, least_distances_.data());
  const float error = kernels::distance_error(centroids.dim());
  for (std::size_t i = 0; i < centroids.size(); ++i) {
    const float to_centroid = std::sqrt(least_distances_[i]) * (1 - error);
    const float least = to_centroid - generation.radius_of(i);
    // What overflows proves nothing.
    least_distances_[i] =
        std::isfinite(to_centroid) ? least : -std::numeric_limits<float>::infinity();
  }
}

bool Visits::widen_to(double distance) {
  if (sees_every_match_) return false;
  if (least_distances_.empty()) find_least_distances();
  seen_.assign(least_distances_.size(), 0);
  for (const auto& [squared, index] : ranked_) seen_[index] = 1;
  const std::size_t before = ranked_.size();
  for (std::uint32_t i = 0; i < least_distances_.size(); ++i) {
    const bool is_proved =
        static_cast<double>(least_distances_[i]) > distance * (1 + kUnitError) + kUnitError;
    if (seen_[i] == 0 && !is_proved) ranked_.push_back({least_distances_[i], i});
  }
  if (ranked_.size() == before) return false;
  begin(ranked_.size());
  sees_every_match_ = ranked_.size() == least_distances_.size();
  for (const auto& [squared, index] : ranked_) add_cluster(index, squared);
  held_.start(*question_.env, *question_.view, parts_);
  return true;
}

// --- few rows match ---

// Visits the parts with rows that match and no other, if that is known to be cheap. An exact query
// takes the word of every row.
Result<bool> Visits::visit_few_matches() {
  const QueryOptions& options = *question_.options;
  if (options.exact || options.nprobe || options.codes_only) return false;
  if (!find_matches()) return false;
  begin(0);
  for (const std::uint32_t part : matches_.parts) add_part(part, 0);
  clusters_ = count_clusters();
  held_.start(*question_.env, *question_.view, parts_);
  VARVE_CHECK(apply_filter());
  sees_every_match_ = live_rows_ <= few_matches(options.k);
  return sees_every_match_;
}

// Fills in the parts in which rows may match, if that is known and they are few.
bool Visits::find_matches() {
  const ResidentSections* const resident = question_.view->resident.get();
  if (question_.filter == nullptr || resident == nullptr || !resident->is_complete) return false;
  return question_.filter->find_parts(resident->values, few_matches(question_.options->k),
                                      matches_);
}

// Parts of one cluster need not stand side by side.
std::size_t Visits::count_clusters() {
  cluster_ids_.clear();
  for (const std::uint32_t part : parts_) {
    cluster_ids_.push_back(generation().parts()[part].slot->ref.cluster);
  }
  std::sort(cluster_ids_.begin(), cluster_ids_.end());
  const auto end = std::unique(cluster_ids_.begin(), cluster_ids_.end());
  return static_cast<std::size_t>(end - cluster_ids_.begin());
}

bool Visits::has_every_match() {
  if (sees_every_match_) return true;
  if (!find_matches()) return false;
  const std::span<const PartView> parts = generation().parts();
  const auto is_marked = [&](std::uint32_t part) {
    return part / 64 < matches_.marks.size() && (matches_.marks[part / 64] >> part % 64 & 1) != 0;
  };
  const auto is_live = [&](std::uint32_t part) { return parts[part].live_rows() > 0; };
  return std::count_if(parts_.begin(), parts_.end(), is_marked) ==
         std::count_if(matches_.parts.begin(), matches_.parts.end(), is_live);
}

// --- the nearest clusters ---

// Visits the `count` nearest clusters, or all.
void Visits::visit(std::size_t count) {
  if (count >= generation().cluster_ids().size()) return visit_all();
  const auto nprobe = static_cast<std::uint32_t>(count);
  visit_ranked({nprobe, nprobe, 0});
}

void Visits::visit_all() {
  const Generation& generation = this->generation();
  const std::size_t clusters = generation.cluster_ids().size();
  // Estimates need the distances of all centroids.
  if (question_.options->codes_only && clusters > 0) {
    const auto nprobe = static_cast<std::uint32_t>(clusters);
    return visit_ranked({nprobe, nprobe, 0});
  }
  begin(clusters);
  sees_every_match_ = true;
  // Those that were ranked stay first: their rows were asked already.
  seen_.assign(clusters, 0);
  for (const auto& [distance, index] : ranked_) {
    add_cluster(index, distance);
    seen_[index] = 1;
  }
  for (std::size_t i = 0; i < clusters; ++i) {
    if (seen_[i] == 0) add_cluster(i, 0);
  }
  held_.start(*question_.env, *question_.view, parts_);
}

void Visits::visit_ranked(const ann::ProbePlan& plan) {
  rank(plan);
  // Distances that overflow rank nothing.
  const bool is_ranked = std::isfinite(ranked_.back().distance);
  if (!is_ranked && !question_.options->codes_only) return visit_all();
  begin(ranked_.size());
  sees_every_match_ = ranked_.size() == generation().cluster_ids().size();
  for (const auto& [distance, index] : ranked_) {
    add_cluster(index, distance);
  }
  held_.start(*question_.env, *question_.view, parts_);
}

// Fills ranked_ with what the plan visits.
void Visits::rank(const ann::ProbePlan& plan) {
  const Generation& generation = this->generation();
  if (generation.rotation() != nullptr) {
    question_.codes->start(*generation.rotation(), question_.query);
    return generation.ranking().rank(question_.query, question_.codes->table(), plan, ranked_);
  }
  generation.centroids().rank(question_.query, plan.nprobe, ranked_);
  ranked_.resize(ann::probes_of(plan, ranked_));
}

void Visits::begin(std::size_t clusters) {
  parts_.clear();
  to_centroids_.clear();
  rows_ = live_rows_ = uncoded_rows_ = 0;
  clusters_ = clusters;
  sees_every_match_ = false;
  is_all_by_recall_ = false;
}

void Visits::add_cluster(std::size_t centroid, float to_centroid) {
  for (const std::uint32_t number : generation().parts_of(centroid)) {
    add_part(number, to_centroid);
  }
}

void Visits::add_part(std::uint32_t number, float to_centroid) {
  const PartView& part = generation().parts()[number];
  if (part.live_rows() == 0) return;
  parts_.push_back(number);
  to_centroids_.push_back(to_centroid);
  rows_ += part.slot->ref.rows;
  live_rows_ += part.live_rows();
  if (!format::has_codes(part.slot->ref)) uncoded_rows_ += part.live_rows();
}

// --- as many as a filter takes ---

Status Visits::visit_matches() {
  VARVE_CHECK(apply_filter());
  const QueryOptions& options = *question_.options;
  while (!sees_every_match_ && !options.nprobe && !options.bounded) {
    const std::size_t more = clusters_for_matches();
    const double worth = static_cast<double>(clusters_) * (1 + kWidenShareMin);
    if (static_cast<double>(more) < worth) return {};
    visit(more);
    VARVE_CHECK(apply_filter());
  }
  return {};
}

Status Visits::apply_filter() {
  VARVE_CHECK(held_.apply(*question_.filter));
  live_rows_ = uncoded_rows_ = 0;
  for (std::size_t place = 0; place < parts_.size(); ++place) {
    const std::uint32_t live = held_.live_rows(place);
    live_rows_ += live;
    if (!format::has_codes(held_.part(place).slot->ref)) uncoded_rows_ += live;
  }
  return {};
}

// The k nearest of one row in n that matches are about the k * n nearest of all.
std::size_t Visits::clusters_for_matches() {
  const Generation& generation = this->generation();
  const QueryOptions& options = *question_.options;
  // Where columns have to be fetched, a guess of one would fetch nearly all.
  if (live_rows_ == 0 && !held_.is_resident()) return clusters_ * kWidenFactor;
  const std::size_t clusters = generation.cluster_ids().size();
  const double wanted = static_cast<double>(options.k) * static_cast<double>(rows_) /
                        static_cast<double>(std::max<std::size_t>(live_rows_, 1));
  const auto table_k = static_cast<std::uint32_t>(std::min(wanted, kFittedKMax));
  const ann::ProbePlan plan = ann::choose_probes(generation.manifest().probe_table, options.recall,
                                                 table_k, static_cast<std::uint32_t>(clusters));
  const double scale = std::pow(std::max(1.0, wanted / kFittedKMax), kProbesPerK);
  const double nprobe = static_cast<double>(clusters_of(plan)) * scale;
  // Comparing half of the centroids costs more than asking the columns of the other half.
  const double most = static_cast<double>(clusters) / (held_.is_resident() ? 2 : 1);
  return nprobe < most ? static_cast<std::size_t>(nprobe) : clusters;
}

// How many clusters this query visits by the plan.
std::size_t Visits::clusters_of(const ann::ProbePlan& plan) {
  const std::size_t count = ann::probes_of(plan, ranked_);
  if (count < ranked_.size()) return count;
  rank(plan);
  return ranked_.size();
}

}  // namespace varve::engine
