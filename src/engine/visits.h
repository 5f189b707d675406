// Which clusters a query visits: the nearest, as many as its recall takes, or those in which rows
// match its filter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ann/kmeans.h"
#include "ann/probe.h"
#include "base/result.h"
#include "engine/coded_scan.h"
#include "engine/env.h"
#include "engine/filter/filter.h"
#include "engine/held_sections.h"
#include "engine/view.h"
#include "varve/types.h"

namespace varve::engine {

// One thread. Kept from query to query for its memory.
class Visits {
 public:
  // All borrowed until the next choose() or held().clear().
  struct Question {
    const Env* env = nullptr;
    const View* view = nullptr;
    const QueryOptions* options = nullptr;
    const Filter* filter = nullptr;  // null: every row matches
    const float* query = nullptr;    // of unit length under cosine
    CodedScan* codes = nullptr;      // get the query if clusters are ranked by codes
  };

  // The clusters to begin with.
  Status choose(const Question& question);
  // Visits more clusters until they hold as many rows that match as the answer needs. Only the
  // filter is asked meanwhile, of each cluster once. REQUIRES: there is a filter.
  Status visit_matches();
  // Several times as many clusters. REQUIRES: not sees_every_match().
  void widen();
  // Those besides that may hold rows no farther from the query than `distance` (Euclidean, as
  // clusters see rows). False: there are none.
  bool widen_to(double distance);

  HeldSections& held() { return held_; }
  std::size_t parts() const { return parts_.size(); }
  // For each place the squared distance to the centroid, if clusters were ranked.
  std::span<const float> to_centroids() const { return to_centroids_; }

  std::size_t clusters() const { return clusters_; }
  // Chosen so that no row that counts lies elsewhere.
  bool sees_every_match() const { return sees_every_match_; }
  // All clusters are visited because the recall asked for takes them, not to see every row: codes
  // may say which rows are looked at.
  bool is_all_by_recall() const { return is_all_by_recall_; }
  // No row that counts lies elsewhere, be it by chance. False if that is not known.
  bool has_every_match();
  // Of the parts visited: all rows, those that count, and of these those without codes.
  std::size_t rows() const { return rows_; }
  std::size_t live_rows() const { return live_rows_; }
  std::size_t uncoded_rows() const { return uncoded_rows_; }

 private:
  const Generation& generation() const { return *question_.view->generation; }
  Result<bool> visit_few_matches();
  bool find_matches();
  std::size_t count_clusters();
  void visit(std::size_t count);
  void visit_all();
  void visit_ranked(const ann::ProbePlan& plan);
  void rank(const ann::ProbePlan& plan);
  void begin(std::size_t clusters);
  void find_least_distances();
  void add_cluster(std::size_t centroid, float to_centroid);
  void add_part(std::uint32_t number, float to_centroid);
  Status apply_filter();
  std::size_t clusters_for_matches();
  std::size_t clusters_of(const ann::ProbePlan& plan);

  Question question_;
  std::vector<ann::CentroidSet::Ranked> ranked_;
  std::vector<std::uint8_t> seen_;  // clusters
  // Of each cluster, below the distance of any of its rows; empty until asked for.
  std::vector<float> least_distances_;
  std::vector<std::uint32_t> cluster_ids_;
  PartMatches matches_;
  // Place by place: numbers of parts, squared distances to their centroids.
  std::vector<std::uint32_t> parts_;
  std::vector<float> to_centroids_;
  HeldSections held_;  // borrows parts_
  std::size_t clusters_ = 0;
  bool sees_every_match_ = false;
  bool is_all_by_recall_ = false;
  std::size_t rows_ = 0, live_rows_ = 0, uncoded_rows_ = 0;
};

}  // namespace varve::engine
