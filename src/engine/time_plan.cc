// The plan of a rewrite of clusters in the order of time.
#include <algorithm>
#include <iterator>

#include "engine/rewrite_plan.h"

namespace varve::engine {
namespace {

// A cluster that keeps its parts gets fewer rows than one in so many of its own; else it is written
// anew, around the mean of all.
constexpr std::uint64_t kRowsPerReceived = 4;

}  // namespace

// Clusters that are too small go into the one before them, with all rows; the others keep theirs.
Status RewritePlan::make_by_time() {
  const std::vector<bool> joins = joining_clusters(generation_, bounds_);
  begins_.assign(1, 0);
  for (std::size_t i = 0; i < size(); ++i) {
    if (joins[i]) {
      fates_[i] = ClusterFate::dissolved;
      ++dissolved_;
    } else {
      const auto centroid = generation_.centroids().centroid(i);
      next_.push_back({generation_.cluster_ids()[i], {centroid.begin(), centroid.end()}, {}});
    }
    origins_.resize(next_.size(), i);
    begins_.push_back(next_.size());
  }
  for (std::size_t i = 0; i < size(); ++i) {
    // Those before the first that stays have no rows.
    if (fates_[i] != ClusterFate::dissolved || begins_[i] == 0) continue;
    VARVE_TRY(auto rows, rows_.read(i));
    auto& received = next_[begins_[i] - 1].received;
    std::move(rows.begin(), rows.end(), std::back_inserter(received));
  }
  for (std::size_t i = 0; i < next_.size(); ++i) {
    const std::size_t received = next_[i].received.size();
    if (received == 0) continue;
    const bool is_much = kRowsPerReceived * received >= shape_of(generation_, origins_[i]).live;
    if (is_much || extent_ == RewriteExtent::changed) fates_[origins_[i]] = ClusterFate::rewritten;
  }
  return {};
}

}  // namespace varve::engine
