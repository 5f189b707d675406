#include "ann/centroid_levels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/distance.h"

namespace varve::ann {
namespace {

using kernels::kSignBlockRows;

constexpr float kAll = std::numeric_limits<float>::infinity();
// Covers the rounding of a ratio of square roots.
constexpr float kRounding = 1 + 1e-5F;

// The least of many estimates are too small. Of the bound of their error, what is added to them.
constexpr float kDoubt = 0.6F;

}  // namespace

// About the square of the distance of the nearest centroid below the node: child and query see each
// other from the node at an angle whose cosine is at most `margin`. Never falls as `distance`
// grows, so that a lower bound of one gives a lower bound of the other.
float CentroidLevels::key_of(float distance, const Node& node, float margin) {
  const float away = std::max(std::sqrt(distance), margin * node.radius);
  const float key = away * away + node.spread - 2 * margin * node.radius * away;
  return key > 0 ? key : 0;  // no NaN
}

// The last that was learned for a count which is not above.
std::size_t CentroidLevels::reach_below(std::size_t count) const {
  std::size_t at = 0;
  while (at + 1 < reaches_.size() && reaches_[at + 1].count <= count) ++at;
  return at;
}

// Margins shrink about as the logarithm of the count grows.
void CentroidLevels::set_margins(std::size_t count, std::vector<float>& margins) const {
  const std::size_t at = reach_below(count);
  margins = reaches_[at].margins;
  if (at + 1 == reaches_.size() || count <= reaches_[at].count) return;
  const auto log = [](std::size_t x) { return std::log(static_cast<float>(x)); };
  const float first = log(reaches_[at].count), end = log(reaches_[at + 1].count);
  const float part = (log(count) - first) / (end - first);
  for (std::size_t level = 0; level < margins.size(); ++level) {
    margins[level] += part * (reaches_[at + 1].margins[level] - margins[level]);
  }
}

bool CentroidLevels::is_for(const ProbePlan& plan) const {
  const std::size_t least = std::min(plan.nprobe_min, plan.nprobe);
  return !reaches_.empty() && least <= centroids_->size() / 16 &&
         !reaches_[reach_below(least)].is_far;
}

void CentroidLevels::push_children(const Node& node, const kernels::SignTable& table,
                                   float distance, std::span<const float> margins, float limit,
                                   LevelScratch& scratch) const {
  const std::size_t padded = (node.children + kSignBlockRows - 1) / kSignBlockRows * kSignBlockRows;
  if (scratch.estimates.size() < padded) {
    scratch.estimates.resize(padded);
    scratch.lowers.resize(padded);
  }
  kernels::estimate_signs(table, blocks_.data() + node.first_block * block_bytes_, node.children,
                          distance, scratch.estimates.data(), scratch.lowers.data());
  const float margin = margins[node.level - 1];
  for (std::size_t i = 0; i < node.children; ++i) {
    const std::uint32_t child = children_[node.first_child + i];
    const float lower = scratch.lowers[i];
    const float key = key_of(lower > 0 ? lower : 0, nodes_[child], margin);
    if (key > limit) continue;
    scratch.heap.push_back({key, child});
    std::push_heap(scratch.heap.begin(), scratch.heap.end(),
                   [](const auto& a, const auto& b) { return a.key > b.key; });
  }
}

// Adds hits whose lower bound is within `last`; returns how many.
std::size_t CentroidLevels::scan_children(const Node& node, const kernels::SignTable& table,
                                          float distance, float last, LevelScratch& scratch) const {
  if (scratch.hits.size() < scratch.count + node.children) {
    scratch.hits.resize(2 * (scratch.count + node.children));
  }
  scratch.codes_scanned += node.children;
  kernels::SignHit* const hits = scratch.hits.data() + scratch.count;
  const std::size_t found = kernels::scan_signs(
      table, blocks_.data() + node.first_block * block_bytes_, node.children, distance, last, hits);
  for (std::size_t i = 0; i < found; ++i) {
    hits[i].row = children_[node.first_child + hits[i].row];
    scratch.most.add(hits[i].upper());
    const float likely = hits[i].estimate + kDoubt * (hits[i].estimate - hits[i].lower);
    scratch.likely_most.add(likely);
    scratch.least.add(hits[i].upper());
    scratch.likely_least.add(likely);
  }
  return found;
}

bool CentroidLevels::walk(const float* query, const kernels::SignTable& table,
                          const ProbePlan& plan, LevelScratch& scratch) const {
  const std::size_t smallest = reaches_.front().count;
  const std::size_t least = std::max<std::size_t>(plan.nprobe_min, 1);
  const bool has_ratio = least < plan.nprobe;
  set_margins(std::min<std::size_t>(least, plan.nprobe), scratch.margins);
  // Never more than all, whose bounds would not be reached.
  const std::size_t most =
      std::min<std::size_t>(std::max<std::size_t>(plan.nprobe, smallest), centroids_->size());
  scratch.most.reset(most);
  scratch.likely_most.reset(most);
  scratch.least.reset(std::max(least, smallest));
  scratch.likely_least.reset(std::max(least, smallest));
  scratch.heap.clear();
  scratch.count = scratch.codes_scanned = 0;
  // Squared: of nodes that are opened, of centroids that are compared.
  float nearest = kAll, in_ratio = kAll, limit = kAll, last = kAll;
  scratch.heap.push_back({0, static_cast<std::uint32_t>(nodes_.size() - 1)});
  while (!scratch.heap.empty()) {
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(),
                  [](const auto& a, const auto& b) { return a.key > b.key; });
    const auto [key, number] = scratch.heap.back();
    scratch.heap.pop_back();
    if (key > limit) break;
    const Node& node = nodes_[number];
    const float distance =
        kernels::squared_l2_one(query, values_.data() + std::size_t{number} * dim_, dim_);
    if (key_of(distance, node, scratch.margins[node.level]) > limit) continue;
    if (node.level > 1) {
      push_children(node, table, distance, scratch.margins, limit, scratch);
      continue;
    }
    const std::size_t end = scratch.count + scan_children(node, table, distance, last, scratch);
    if (has_ratio) {
      for (; scratch.count < end; ++scratch.count) {
        const kernels::SignHit& hit = scratch.hits[scratch.count];
        if (hit.lower > nearest) continue;
        const float* const centroid = centroids_->centroid(hit.row).data();
        nearest = std::min(nearest, kernels::squared_l2_one(query, centroid, dim_));
      }
      in_ratio = plan.ratio * plan.ratio * kRounding * nearest;
    }
    scratch.count = end;
    last = std::min(scratch.most.limit(), std::max(in_ratio, scratch.least.limit()));
    // By estimates, not by their bounds: what counts among nodes is likely, not certain, anyway.
    limit = std::min(scratch.likely_most.limit(), std::max(in_ratio, scratch.likely_least.limit()));
  }
  const auto end = std::remove_if(scratch.hits.begin(),
                                  scratch.hits.begin() + static_cast<std::ptrdiff_t>(scratch.count),
                                  [last](const kernels::SignHit& hit) { return hit.lower > last; });
  scratch.count = static_cast<std::size_t>(end - scratch.hits.begin());
  return scratch.count >= std::min<std::size_t>(least, plan.nprobe);
}

std::size_t CentroidLevels::resident_bytes() const {
  return nodes_.size() * sizeof(Node) + values_.size() * sizeof(float) +
         children_.size() * sizeof(children_[0]) + blocks_.size();
}

}  // namespace varve::ann
