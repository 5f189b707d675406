#include "engine/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <string>

#include "ann/probe.h"
#include "engine/core.h"
#include "engine/section_cache.h"
#include "engine/section_reader.h"
#include "engine/section_views.h"
#include "engine/validate.h"
#include "kernels/distance.h"
#include "kernels/top_k.h"

namespace varve::engine {
namespace {

// A row of the clusters as one number: `place` counts the parts that the query visits.
std::uint64_t row_id(std::size_t place, std::uint32_t row) {
  return std::uint64_t{place} << 32 | row;
}
std::uint32_t place_of(std::uint64_t id) { return static_cast<std::uint32_t>(id >> 32); }
std::uint32_t row_of(std::uint64_t id) { return static_cast<std::uint32_t>(id); }

// Clusters are visited in steps this much larger while they do not give k hits.
constexpr std::size_t kWidenFactor = 4;

// Candidates beyond k that are put into exact order, so that rounding of float32 at the edge of the
// answer does not decide.
constexpr std::size_t kSpareCandidates = 8;

// Rows that a query visits at least when it asks for a share of the true neighbours. Scanning so
// few costs about as much as everything else in a query, and the recall table of a small index,
// fitted on few held-out rows, is not exact enough to save them.
std::size_t rows_min(double recall) {
  if (recall >= 0.99) return 4096;
  return recall >= 0.95 ? 2048 : 1024;
}

// What a candidate's distance and key are read from.
constexpr std::initializer_list<format::Section> kOfCandidates = {format::Section::rows,
                                                                  format::Section::ids};

struct Candidate {
  double distance = 0;
  std::string_view key;
  std::string_view metadata;
  std::uint64_t row = 0;  // row_id
  bool in_tail = false;
};

// Time since the last lap, in microseconds.
class Laps {
 public:
  explicit Laps(const base::Clock& clock) : clock_(clock), last_(clock.now()), first_(last_) {}
  double lap() {
    const auto now = clock_.now();
    const double us = std::chrono::duration<double, std::micro>(now - last_).count();
    last_ = now;
    return us;
  }
  double total() const {
    return std::chrono::duration<double, std::micro>(clock_.now() - first_).count();
  }

 private:
  const base::Clock& clock_;
  base::TimePoint last_, first_;
};

// Reused from query to query of a thread, so that a resident query allocates next to nothing.
struct Scratch {
  std::vector<float> query;  // of unit length under cosine
  std::vector<float> distances;
  std::vector<ann::CentroidSet::Ranked> ranked;
  std::vector<std::uint32_t> parts;
};
thread_local Scratch scratch;

class Search {
 public:
  Search(const Env& env, const View& view, std::span<const float> query,
         const QueryOptions& options)
      : env_(env),
        view_(view),
        generation_(*view.generation),
        metric_(generation_.manifest().metric),
        query_(query),
        query_norm_(std::sqrt(kernels::squared_norm_exact(query.data(), dim()))),
        options_(options) {}

  Result<QueryResult> run() {
    Laps laps(*env_.clock);
    const ReadCost before = read_cost();
    const cache::ReadCounts tiers_before = section_counts();
    prepare_query();
    choose_parts();
    cost_.rank_us = laps.lap();
    std::vector<Candidate> best = scan_tail();
    VARVE_CHECK(scan(best));
    // The log may have replaced the rows of the clusters visited, or k asks for more than they
    // hold.
    while (best.size() < options_.k && !every_row_ && !options_.nprobe) {
      visit(cost_.nprobe * kWidenFactor);
      VARVE_CHECK(scan(best));
    }
    cost_.scan_us = laps.lap();
    VARVE_TRY(QueryResult result, finish(best));
    result.performance = cost_;
    result.performance.finish_us = laps.lap();
    result.performance.total_us = laps.total();
    result.performance.store_requests = read_cost().requests - before.requests;
    result.performance.store_bytes = read_cost().bytes - before.bytes;
    add_tier_reads(tiers_before, result.performance);
    return result;
  }

 private:
  void add_tier_reads(const cache::ReadCounts& before, Performance& performance) const {
    cache::LayeredCache& layers = env_.sections->layers();
    const cache::ReadCounts& now = section_counts();
    for (std::size_t i = 0; i < layers.tier_count(); ++i) {
      performance.tier_reads.push_back(
          {std::string(layers.tier(i).name()), now.tiers[i] - before.tiers[i]});
    }
    performance.tier_reads.push_back({"store", now.loads - before.loads});
  }

  std::uint32_t dim() const { return generation_.manifest().dim; }

  void prepare_query() {
    scratch.query.assign(query_.begin(), query_.end());
    if (metric_ == Metric::cosine) normalise(scratch.query.data(), dim());
  }

  // Fills scratch.parts with what is to be scanned.
  void choose_parts() {
    const auto clusters = static_cast<std::uint32_t>(generation_.cluster_ids().size());
    if (options_.exact || clusters == 0) return visit(clusters);
    if (options_.nprobe) return visit(*options_.nprobe);
    ann::ProbePlan plan = ann::choose_probes(generation_.manifest().probe_table, options_.recall,
                                             options_.k, clusters);
    raise_to_rows_min(plan);
    if (plan.nprobe >= clusters) return visit(clusters);
    generation_.centroids().rank(scratch.query.data(), plan.nprobe, scratch.ranked);
    visit_ranked(ann::probes_of(plan, scratch.ranked));
  }

  // Visits the `count` nearest clusters, or all.
  void visit(std::size_t count) {
    const std::size_t clusters = generation_.cluster_ids().size();
    if (count < clusters) {
      generation_.centroids().rank(scratch.query.data(), count, scratch.ranked);
      return visit_ranked(count);
    }
    start_visit(clusters);
    for (std::size_t i = 0; i < clusters; ++i) add_parts(i);
  }

  void visit_ranked(std::size_t count) {
    // Distances that overflow rank nothing.
    if (!std::isfinite(scratch.ranked[count - 1].distance)) {
      return visit(generation_.cluster_ids().size());
    }
    start_visit(count);
    for (std::size_t i = 0; i < count; ++i) add_parts(scratch.ranked[i].index);
  }

  void start_visit(std::size_t count) {
    scratch.parts.clear();
    rows_.clear();
    ids_.clear();
    scored_ = false;
    every_row_ = count == generation_.cluster_ids().size();
    cost_.nprobe = count;
    cost_.certainty = every_row_ ? Certainty::exact : Certainty::approximate;
  }

  void raise_to_rows_min(ann::ProbePlan& plan) const {
    const std::uint64_t rows = std::max<std::uint64_t>(1, generation_.live_rows());
    const std::uint64_t clusters = generation_.cluster_ids().size();
    const std::uint64_t least =
        std::min(clusters, (rows_min(options_.recall) * clusters + rows - 1) / rows);
    plan.nprobe_min = std::max(plan.nprobe_min, static_cast<std::uint32_t>(least));
    plan.nprobe = std::max(plan.nprobe, plan.nprobe_min);
  }

  void add_parts(std::size_t centroid) {
    for (const std::uint32_t part : generation_.parts_of(centroid)) {
      if (generation_.parts()[part].live_rows() > 0) scratch.parts.push_back(part);
    }
  }

  std::size_t rows_chosen() const {
    std::size_t rows = 0;
    for (const std::uint32_t part : scratch.parts) rows += generation_.parts()[part].live_rows();
    return rows;
  }

  // Distances of all rows of one part into `out`.
  void score(const RowsView& part, float* out) const {
    if (metric_ == Metric::euclidean) {
      kernels::squared_l2(scratch.query.data(), part.rows, out);
      return;
    }
    kernels::inner_product(scratch.query.data(), part.rows, out);
    for (std::size_t i = 0; i < part.rows.count; ++i)
      out[i] = 1.0F - out[i] * part.inverse_norms[i];
    for (const std::uint32_t row : part.extreme) {
      out[row] = static_cast<float>(exact_distance(part.rows, row));
    }
  }

  // Upper bound of the float32 distance that a row nearer than `threshold` can show.
  float with_margin(float threshold) const {
    const float error = kernels::distance_error(dim());
    // Squares of tiny differences lose less than the smallest normal number.
    if (metric_ == Metric::euclidean) {
      return threshold * (1.0F + 4.0F * error) + std::numeric_limits<float>::min();
    }
    // The product of unit vectors is at most 1, normalising included.
    return threshold + 8.0F * error + 1e-6F;
  }

  // Adds the candidates of the clusters chosen to `best`. Rows that a newer log entry replaced are
  // dropped after the scan; if that leaves too few, more are taken. Ends: `wanted` doubles up to
  // the number of rows.
  Status scan(std::vector<Candidate>& best) {
    VARVE_CHECK(score_parts());
    std::size_t wanted = options_.k;
    while (true) {
      VARVE_TRY(const bool enough, scan_clusters(wanted, best));
      if (enough) return {};
      wanted *= 2;
    }
  }

  // Adds candidates from the clusters to `best`, which holds those of the tail. False: rows that
  // the tail replaced took so many places that `wanted` must grow.
  Result<bool> scan_clusters(std::size_t wanted, std::vector<Candidate>& best) {
    std::erase_if(best, [](const Candidate& candidate) { return !candidate.in_tail; });
    keys_.clear();
    const std::size_t capacity = std::min(live_chosen_, wanted + kSpareCandidates);
    if (capacity == 0) return true;
    auto ids = every_row_ ? all_within_margin(capacity) : nearest(capacity);
    const std::size_t count = ids.size();
    std::size_t dropped = 0;
    VARVE_CHECK(add_candidates(std::move(ids), best, dropped));
    const bool more_exist = count >= capacity && capacity < live_chosen_;
    return count - dropped >= std::min<std::size_t>(options_.k, live_chosen_) || !more_exist;
  }

  const PartView& part_at(std::size_t place) const {
    return generation_.parts()[scratch.parts[place]];
  }
  // Scores every part once; later rounds reuse the distances. Keeps the rows if all sections that
  // the query may need fit; one that visits more reads those of its candidates a second time.
  Status score_parts() {
    if (scored_) return {};
    const std::size_t count = scratch.parts.size();
    keeps_all_ = count == 0 || generation_.count_within(scratch.parts, kOfCandidates,
                                                        env_.held_bytes_max) == count;
    std::size_t rows = 0;
    for (std::size_t place = 0; place < count; ++place) rows += part_at(place).slot->ref.rows;
    scratch.distances.resize(rows);
    rows_.resize(count);
    ids_.resize(count);
    float* out = scratch.distances.data();
    for (std::span<const std::uint32_t> rest = scratch.parts; !rest.empty();) {
      const auto parts =
          rest.first(generation_.count_within(rest, {format::Section::rows}, env_.held_bytes_max));
      VARVE_TRY(auto views, generation_.views<RowsView>(env_, parts));
      for (std::size_t i = 0; i < views.size(); ++i) {
        score(views[i], out);
        out += views[i].rows.count;
        if (keeps_all_) rows_[count - rest.size() + i] = std::move(views[i]);
      }
      rest = rest.subspan(parts.size());
    }
    cost_.rows_scanned += rows;
    live_chosen_ = rows_chosen();
    scored_ = true;
    return {};
  }

  // Reads the sections of `places` that `held` does not have yet.
  template <typename View>
  Status hold(std::vector<View>& held, std::span<const std::uint32_t> places) const {
    std::vector<std::uint32_t> parts, missing;
    for (const std::uint32_t place : places) {
      if (held[place].bytes) continue;
      missing.push_back(place);
      parts.push_back(scratch.parts[place]);
    }
    if (parts.empty()) return {};
    VARVE_TRY(auto views, generation_.views<View>(env_, parts));
    for (std::size_t i = 0; i < missing.size(); ++i) held[missing[i]] = std::move(views[i]);
    return {};
  }

  std::vector<std::uint64_t> nearest(std::size_t capacity) const {
    kernels::TopK top(capacity);
    const float* distances = scratch.distances.data();
    for (std::size_t place = 0; place < scratch.parts.size(); ++place) {
      const PartView& part = part_at(place);
      top.add_block(distances, part.slot->ref.rows, row_id(place, 0), part.stale_words());
      distances += part.slot->ref.rows;
    }
    const auto found = top.take();
    // Distances that overflow are all equal: the exact ones decide. NaN, which only damaged rows
    // give, is no candidate.
    if (found.empty() || !std::isfinite(found.back().distance)) return all_within_margin(capacity);
    std::vector<std::uint64_t> ids;
    ids.reserve(found.size());
    for (const auto& scored : found) ids.push_back(scored.id);
    return ids;
  }

  // Every row that can be among the `capacity` nearest in exact arithmetic.
  std::vector<std::uint64_t> all_within_margin(std::size_t capacity) const {
    kernels::TopK top(capacity);
    const float* distances = scratch.distances.data();
    for (std::size_t place = 0; place < scratch.parts.size(); ++place) {
      const PartView& part = part_at(place);
      top.add_block(distances, part.slot->ref.rows, row_id(place, 0), part.stale_words());
      distances += part.slot->ref.rows;
    }
    std::vector<std::uint64_t> ids;
    const auto found = top.take();
    if (found.empty()) return ids;
    const float limit = with_margin(found.back().distance);
    distances = scratch.distances.data();
    for (std::size_t place = 0; place < scratch.parts.size(); ++place) {
      const PartView& part = part_at(place);
      for (std::uint32_t row = 0; row < part.slot->ref.rows; ++row) {
        if (distances[row] <= limit && !part.is_stale(row)) ids.push_back(row_id(place, row));
      }
      distances += part.slot->ref.rows;
    }
    return ids;
  }

  double exact_distance(const kernels::Rows& rows, std::size_t row) const {
    if (metric_ == Metric::euclidean) return kernels::squared_l2_exact(query_.data(), rows, row);
    const double norm = std::sqrt(kernels::squared_norm_exact(rows, row));
    return 1.0 - kernels::inner_product_exact(query_.data(), rows, row) / (query_norm_ * norm);
  }

  // Calls `use` with groups of `ids` whose parts' `sections` fit into what a query may hold.
  template <typename Use>
  Status in_groups(std::vector<std::uint64_t> ids, std::initializer_list<format::Section> sections,
                   const Use& use) const {
    std::sort(ids.begin(), ids.end());
    const std::vector<std::uint32_t> places = places_of(ids);
    std::vector<std::uint32_t> parts;
    for (const std::uint32_t place : places) parts.push_back(scratch.parts[place]);
    auto id = ids.cbegin();
    for (std::size_t begin = 0; begin < places.size();) {
      const auto rest = std::span<const std::uint32_t>(parts).subspan(begin);
      const std::size_t end = begin + generation_.count_within(rest, sections, env_.held_bytes_max);
      const auto first = id;
      while (id != ids.cend() && place_of(*id) <= places[end - 1]) ++id;
      VARVE_CHECK(use(std::span(places).subspan(begin, end - begin), std::span(first, id)));
      begin = end;
    }
    return {};
  }

  Status add_candidates(std::vector<std::uint64_t> ids, std::vector<Candidate>& best,
                        std::size_t& dropped) {
    return in_groups(std::move(ids), kOfCandidates, [&](auto places, auto group) -> Status {
      VARVE_CHECK(hold(ids_, places));
      VARVE_CHECK(hold(rows_, places));
      for (const std::uint64_t id : group) add_candidate(id, best, dropped);
      if (keeps_all_) return {};
      for (const std::uint32_t place : places) {
        ids_[place] = {};
        rows_[place] = {};
      }
      return {};
    });
  }

  void add_candidate(std::uint64_t id, std::vector<Candidate>& best, std::size_t& dropped) {
    std::string_view key = ids_[place_of(id)].key(row_of(id));
    // The log behind the fold pointer is newer than every row in clusters.
    if (view_.tail_count > 0 && view_.tail->newest(key, view_.tail_count)) {
      ++dropped;
      return;
    }
    if (!keeps_all_) key = keys_.emplace_back(key);
    best.push_back({exact_distance(rows_[place_of(id)].rows, row_of(id)), key, {}, id, false});
  }

  // REQUIRES: `ids` ascend.
  static std::vector<std::uint32_t> places_of(std::span<const std::uint64_t> ids) {
    std::vector<std::uint32_t> places;
    for (const std::uint64_t id : ids) {
      if (places.empty() || places.back() != place_of(id)) places.push_back(place_of(id));
    }
    return places;
  }

  std::vector<Candidate> scan_tail() {
    std::vector<Candidate> found;
    if (view_.tail_count == 0) return found;
    view_.tail->for_each_newest(view_.tail_count, [&](const Tail::Op& op) {
      if (op.op.kind != format::OpKind::upsert) return;
      const auto row = kernels::rows_of(op.op.vector.data(), 1, dim());
      found.push_back({exact_distance(row, 0), op.op.key, op.op.metadata, 0, true});
    });
    cost_.tail_rows = found.size();
    return found;
  }

  Result<QueryResult> finish(std::vector<Candidate>& best) {
    const std::size_t count = std::min<std::size_t>(options_.k, best.size());
    std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(count), best.end(),
                      [](const Candidate& a, const Candidate& b) {
                        return a.distance != b.distance ? a.distance < b.distance : a.key < b.key;
                      });
    best.resize(count);
    QueryResult result;
    for (const Candidate& candidate : best) {
      result.hits.push_back(
          {std::string(candidate.key), candidate.distance, std::string(candidate.metadata)});
    }
    if (options_.include_metadata) VARVE_CHECK(attach_metadata(best, result.hits));
    return result;
  }

  Status attach_metadata(std::span<const Candidate> best, std::vector<Hit>& hits) {
    // The hits have copies of what they need.
    rows_.clear();
    ids_.clear();
    std::vector<std::uint64_t> ids;
    for (const Candidate& candidate : best) {
      if (!candidate.in_tail) ids.push_back(candidate.row);
    }
    return in_groups(std::move(ids), {format::Section::metadata}, [&](auto places, auto) -> Status {
      std::vector<MetadataView> held(scratch.parts.size());
      VARVE_CHECK(hold(held, places));
      for (std::size_t rank = 0; rank < best.size(); ++rank) {
        const std::uint64_t row = best[rank].row;
        if (best[rank].in_tail || !held[place_of(row)].bytes) continue;
        hits[rank].metadata = held[place_of(row)].at(row_of(row));
      }
      return {};
    });
  }

  const Env& env_;
  const View& view_;
  const Generation& generation_;
  const Metric metric_;
  const std::span<const float> query_;
  const double query_norm_;
  const QueryOptions& options_;
  Performance cost_;
  bool every_row_ = false;
  bool scored_ = false;
  std::size_t live_chosen_ = 0;
  bool keeps_all_ = false;
  // Sections of the parts visited, in their order; empty while not needed.
  std::vector<RowsView> rows_;
  std::vector<IdsView> ids_;
  std::deque<std::string> keys_;  // of candidates whose ids were let go
};

}  // namespace

Result<QueryResult> search(const Env& env, const View& view, std::span<const float> query,
                           const QueryOptions& options) {
  const format::Manifest& manifest = view.generation->manifest();
  VARVE_CHECK(validate_query(query, options, {manifest.dim, manifest.metric}));
  return Search(env, view, query, options).run();
}

}  // namespace varve::engine
