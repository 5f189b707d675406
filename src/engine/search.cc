#include "engine/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <string>

#include "ann/probe.h"
#include "engine/coded_scan.h"
#include "engine/core.h"
#include "engine/filter/filter.h"
#include "engine/full_scan.h"
#include "engine/held_sections.h"
#include "engine/match_scan.h"
#include "engine/row_scorer.h"
#include "engine/section_cache.h"
#include "engine/section_reader.h"
#include "engine/validate.h"
#include "format/part.h"
#include "kernels/distance.h"

namespace varve::engine {
namespace {

// Clusters are visited in steps this much larger while they do not give k hits.
constexpr std::size_t kWidenFactor = 4;

// Candidates beyond k that are put into exact order, so that rounding of float32 at the edge of the
// answer does not decide.
constexpr std::size_t kSpareCandidates = 8;

// The recall table is fitted up to this k; beyond it, clusters grow with this power of k.
constexpr double kFittedKMax = 100;
constexpr double kProbesPerK = 0.75;

// With more rows that have no codes among those visited, all are looked at one after the other.
constexpr std::size_t kUncodedShareMax = 4;  // one in so many

// If one row in so many matches or fewer, those are compared one by one: fewer blocks of codes than
// that have no match among their 32 rows.
constexpr std::size_t kMatchShareMax = 24;

// What a filter let through so far tells how many clusters it takes. No new round for less than
// this share more.
constexpr double kWidenShareMin = 0.25;

// Rows that a query visits at least when it asks for a share of the true neighbours. Scanning so
// few costs about as much as everything else in a query, and the recall table of a small index,
// fitted on few held-out rows, is not exact enough to save them.
std::size_t rows_min(double recall) {
  if (recall >= 0.99) return 4096;
  return recall >= 0.95 ? 2048 : 1024;
}

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

// Used again from query to query of a thread, so that a resident query allocates nothing.
struct Scratch {
  RowScorer scorer;
  std::vector<ann::CentroidSet::Ranked> ranked;
  std::vector<std::uint8_t> seen;  // clusters
  // Of what is visited, place by place: numbers of parts, squared distances to their centroids.
  std::vector<std::uint32_t> parts;
  std::vector<float> to_centroids;
  HeldSections held;
  CodedScan coded;
  FullScan full;
  MatchScan match;
  std::vector<std::uint64_t> ids;
  std::vector<std::uint32_t> places;
  std::vector<Candidate> best;
  std::deque<std::string> keys;  // of candidates whose ids were let go
};
thread_local Scratch scratch;

// Sections that an idle thread held would stay in memory.
struct LetGo {
  ~LetGo() { scratch.held.clear(); }
};

class Search {
 public:
  Search(const Env& env, const View& view, std::span<const float> query,
         const QueryOptions& options, const Filter* filter)
      : env_(env),
        view_(view),
        generation_(*view.generation),
        scorer_(scratch.scorer),
        options_(options),
        filter_(filter) {
    scratch.scorer.set(generation_.manifest().metric, query);
  }

  Status run(QueryResult& result) {
    Laps laps(*env_.clock);
    const ReadCost before = read_cost();
    const cache::ReadCounts tiers_before = section_counts();
    scratch.ranked.clear();
    choose_parts();
    cost_.rank_us = laps.lap();
    scratch.best.clear();
    scan_tail();
    VARVE_CHECK(scan());
    while (needs_more()) {
      visit(cost_.nprobe * kWidenFactor);
      VARVE_CHECK(scan());
    }
    if (view_.resident != nullptr) section_counts().tiers[0] += scratch.parts.size();
    cost_.scan_us = laps.lap();
    VARVE_CHECK(finish(result.hits));
    cost_.finish_us = laps.lap();
    cost_.total_us = laps.total();
    cost_.store_requests = read_cost().requests - before.requests;
    cost_.store_bytes = read_cost().bytes - before.bytes;
    cost_.tier_reads = std::move(result.performance.tier_reads);
    set_tier_reads(tiers_before);
    result.performance = std::move(cost_);
    return {};
  }

 private:
  void set_tier_reads(const cache::ReadCounts& before) {
    cache::LayeredCache& layers = env_.sections->layers();
    const cache::ReadCounts& now = section_counts();
    const std::size_t tiers = layers.tier_count();
    cost_.tier_reads.resize(tiers + 1);
    for (std::size_t i = 0; i < tiers; ++i) {
      cost_.tier_reads[i].tier = layers.tier(i).name();
      cost_.tier_reads[i].reads = now.tiers[i] - before.tiers[i];
    }
    cost_.tier_reads[tiers].tier = "store";
    cost_.tier_reads[tiers].reads = now.loads - before.loads;
  }

  // --- which parts ---

  void choose_parts() {
    const auto clusters = static_cast<std::uint32_t>(generation_.cluster_ids().size());
    if (options_.exact || clusters == 0) return visit(clusters);
    if (options_.nprobe) return visit(*options_.nprobe);
    ann::ProbePlan plan = ann::choose_probes(generation_.manifest().probe_table, options_.recall,
                                             options_.k, clusters);
    raise_to_rows_min(plan);
    if (plan.nprobe >= clusters) return visit(clusters);
    visit_ranked(plan);
  }

  // Visits the `count` nearest clusters, or all.
  void visit(std::size_t count) {
    const std::size_t clusters = generation_.cluster_ids().size();
    if (count < clusters) {
      const auto nprobe = static_cast<std::uint32_t>(count);
      return visit_ranked({nprobe, nprobe, 0});
    }
    start_visit(clusters);
    // Those that were ranked stay first: their rows were asked already.
    scratch.seen.assign(clusters, 0);
    for (const auto& [distance, index] : scratch.ranked) {
      add_parts(index, distance);
      scratch.seen[index] = 1;
    }
    for (std::size_t i = 0; i < clusters; ++i) {
      if (scratch.seen[i] == 0) add_parts(i, 0);
    }
    scratch.held.start(env_, view_, scratch.parts);
  }

  void visit_ranked(const ann::ProbePlan& plan) {
    rank(plan);
    const std::size_t count = scratch.ranked.size();
    // Distances that overflow rank nothing.
    if (!std::isfinite(scratch.ranked[count - 1].distance)) {
      return visit(generation_.cluster_ids().size());
    }
    start_visit(count);
    for (std::size_t i = 0; i < count; ++i) {
      add_parts(scratch.ranked[i].index, scratch.ranked[i].distance);
    }
    scratch.held.start(env_, view_, scratch.parts);
  }

  // Fills scratch.ranked with what the plan visits.
  void rank(const ann::ProbePlan& plan) {
    const float* const query = scorer_.unit().data();
    if (generation_.rotation() != nullptr) {
      scratch.coded.start(*generation_.rotation(), query);
      return generation_.ranking().rank(query, scratch.coded.table(), plan, scratch.ranked);
    }
    generation_.centroids().rank(query, plan.nprobe, scratch.ranked);
    scratch.ranked.resize(ann::probes_of(plan, scratch.ranked));
  }

  void start_visit(std::size_t count) {
    scratch.parts.clear();
    scratch.to_centroids.clear();
    rows_chosen_ = live_chosen_ = uncoded_chosen_ = 0;
    every_row_ = count == generation_.cluster_ids().size();
    cost_.nprobe = count;
    cost_.certainty = every_row_ ? Certainty::exact : Certainty::approximate;
  }

  // The log may have replaced the rows of the clusters visited, or k asks for more than they hold.
  bool needs_more() const {
    return !every_row_ && !options_.nprobe && scratch.best.size() < options_.k;
  }

  // Visits more clusters until they hold as many rows that match as the answer needs. Only the
  // filter is asked meanwhile, of each cluster once.
  Status visit_matches() {
    VARVE_CHECK(apply_filter());
    while (!every_row_ && !options_.nprobe) {
      const std::size_t more = clusters_for_matches();
      const double worth = static_cast<double>(cost_.nprobe) * (1 + kWidenShareMin);
      if (static_cast<double>(more) < worth) return {};
      visit(more);
      VARVE_CHECK(apply_filter());
    }
    return {};
  }

  // The k nearest of one row in n that matches are about the k * n nearest of all.
  std::size_t clusters_for_matches() const {
    // Where columns have to be fetched, a guess of one would fetch nearly all.
    if (live_chosen_ == 0 && !scratch.held.is_resident()) return cost_.nprobe * kWidenFactor;
    const std::size_t clusters = generation_.cluster_ids().size();
    const double wanted = static_cast<double>(options_.k) * static_cast<double>(rows_chosen_) /
                          static_cast<double>(std::max<std::size_t>(live_chosen_, 1));
    const auto table_k = static_cast<std::uint32_t>(std::min(wanted, kFittedKMax));
    const ann::ProbePlan plan =
        ann::choose_probes(generation_.manifest().probe_table, options_.recall, table_k,
                           static_cast<std::uint32_t>(clusters));
    const double scale = std::pow(std::max(1.0, wanted / kFittedKMax), kProbesPerK);
    const double nprobe = static_cast<double>(plan.nprobe) * scale;
    // Comparing half of the centroids costs more than asking the columns of the other half.
    const double most = static_cast<double>(clusters) / (scratch.held.is_resident() ? 2 : 1);
    return nprobe < most ? static_cast<std::size_t>(nprobe) : clusters;
  }

  void raise_to_rows_min(ann::ProbePlan& plan) const {
    const std::uint64_t rows = std::max<std::uint64_t>(1, generation_.live_rows());
    const std::uint64_t clusters = generation_.cluster_ids().size();
    const std::uint64_t least =
        std::min(clusters, (rows_min(options_.recall) * clusters + rows - 1) / rows);
    plan.nprobe_min = std::max(plan.nprobe_min, static_cast<std::uint32_t>(least));
    plan.nprobe = std::max(plan.nprobe, plan.nprobe_min);
  }

  void add_parts(std::size_t centroid, float to_centroid) {
    for (const std::uint32_t number : generation_.parts_of(centroid)) {
      const PartView& part = generation_.parts()[number];
      if (part.live_rows() == 0) continue;
      scratch.parts.push_back(number);
      scratch.to_centroids.push_back(to_centroid);
      rows_chosen_ += part.slot->ref.rows;
      live_chosen_ += part.live_rows();
      if (!format::has_codes(part.slot->ref)) uncoded_chosen_ += part.live_rows();
    }
  }

  // --- which rows ---

  enum class Way : std::uint8_t { codes, matches, all };
  Way choose_way() const {
    const bool by_codes = !every_row_ && generation_.rotation() != nullptr &&
                          uncoded_chosen_ * kUncodedShareMax <= live_chosen_;
    const bool few = filter_ != nullptr && live_chosen_ * kMatchShareMax <= rows_chosen_;
    // Codes say which rows need not be read at all.
    if (few && (!by_codes || scratch.held.is_resident())) return Way::matches;
    return by_codes ? Way::codes : Way::all;
  }

  // Adds the candidates of the clusters chosen to scratch.best. Rows that a newer log entry
  // replaced are dropped after the scan; if that leaves too few, more are taken. Ends: `wanted`
  // doubles up to the number of rows.
  Status scan() {
    if (filter_ != nullptr) VARVE_CHECK(visit_matches());
    cost_.rows_scanned = rows_chosen_;
    const Way way = choose_way();
    if (way == Way::all) VARVE_CHECK(scratch.full.score(scratch.held, scorer_));
    if (way == Way::matches) VARVE_CHECK(scratch.match.score(scratch.held, scorer_));
    cost_.rows_compared = way == Way::all ? rows_chosen_ : live_chosen_;
    std::size_t wanted = options_.k;
    while (true) {
      VARVE_TRY(const bool enough, scan_for(way, wanted));
      if (enough) return {};
      wanted *= 2;
    }
  }

  Status apply_filter() {
    VARVE_CHECK(scratch.held.apply(*filter_));
    live_chosen_ = uncoded_chosen_ = 0;
    for (std::size_t place = 0; place < scratch.parts.size(); ++place) {
      const std::uint32_t live = scratch.held.live_rows(place);
      live_chosen_ += live;
      if (!format::has_codes(scratch.held.part(place).slot->ref)) uncoded_chosen_ += live;
    }
    return {};
  }

  Result<bool> scan_for(Way way, std::size_t wanted) {
    const std::size_t spare = way == Way::all ? kSpareCandidates : 0;
    const std::size_t capacity = std::min(live_chosen_, wanted + spare);
    if (capacity == 0) return take_candidates(0);
    if (way == Way::codes) {
      VARVE_CHECK(scratch.coded.nearest(scratch.held, scorer_, scratch.to_centroids, capacity,
                                        scratch.ids));
      cost_.rows_compared = scratch.coded.rows_compared();
    } else if (way == Way::matches) {
      scratch.match.nearest(scorer_, capacity, scratch.ids);
    } else {
      scratch.full.nearest(scratch.held, scorer_, capacity, every_row_, scratch.ids);
    }
    return take_candidates(capacity);
  }

  // From scratch.ids, of which the scan found as many as there are up to `capacity`. False: rows
  // that the tail replaced took so many places that more have to be found.
  Result<bool> take_candidates(std::size_t capacity) {
    std::erase_if(scratch.best, [](const Candidate& candidate) { return !candidate.in_tail; });
    scratch.keys.clear();
    if (capacity == 0) return true;
    const std::size_t count = scratch.ids.size();
    std::size_t dropped = 0;
    VARVE_CHECK(add_candidates(dropped));
    const bool more_exist = count >= capacity && capacity < live_chosen_;
    return count - dropped >= std::min<std::size_t>(options_.k, live_chosen_) || !more_exist;
  }

  // Calls use(places, ids) with groups of scratch.ids whose parts' `sections` fit into what a query
  // may hold. Sorts them.
  template <typename Use>
  Status in_groups(std::initializer_list<format::Section> sections, const Use& use) const {
    std::vector<std::uint64_t>& ids = scratch.ids;
    std::sort(ids.begin(), ids.end());
    scratch.places.clear();
    for (const std::uint64_t id : ids) {
      if (scratch.places.empty() || scratch.places.back() != place_of(id)) {
        scratch.places.push_back(place_of(id));
      }
    }
    auto id = ids.cbegin();
    for (std::span<const std::uint32_t> rest = scratch.places; !rest.empty();) {
      const auto group = rest.first(scratch.held.count_within(rest, sections));
      const auto first = id;
      while (id != ids.cend() && place_of(*id) <= group.back()) ++id;
      VARVE_CHECK(use(group, std::span(first, id)));
      rest = rest.subspan(group.size());
    }
    return {};
  }

  Status add_candidates(std::size_t& dropped) {
    HeldSections& held = scratch.held;
    return in_groups({format::Section::rows, format::Section::ids},
                     [&](auto places, auto group) -> Status {
                       VARVE_CHECK(held.hold<IdsView>(places));
                       VARVE_CHECK(held.hold<RowsView>(places));
                       for (const std::uint64_t id : group) add_candidate(id, dropped);
                       held.let_go<IdsView>(places);
                       held.let_go<RowsView>(places);
                       return {};
                     });
  }

  void add_candidate(std::uint64_t id, std::size_t& dropped) {
    std::string_view key = scratch.held.at<IdsView>(place_of(id)).key(row_of(id));
    // The log behind the fold pointer is newer than every row in clusters.
    if (view_.tail_count > 0 && view_.tail->newest(key, view_.tail_count)) {
      ++dropped;
      return;
    }
    if (!scratch.held.keeps_all()) key = scratch.keys.emplace_back(key);
    const RowsView& rows = scratch.held.at<RowsView>(place_of(id));
    scratch.best.push_back({scorer_.exact(rows.rows, row_of(id)), key, {}, id, false});
  }

  void scan_tail() {
    if (view_.tail_count == 0) return;
    const std::uint32_t dim = generation_.manifest().dim;
    view_.tail->for_each_newest(view_.tail_count, [&](const Tail::Op& op) {
      if (op.op.kind != format::OpKind::upsert) return;
      if (filter_ != nullptr && !filter_->matches(op.op.metadata)) return;
      const auto row = kernels::rows_of(op.op.vector.data(), 1, dim);
      scratch.best.push_back({scorer_.exact(row, 0), op.op.key, op.op.metadata, 0, true});
    });
    cost_.tail_rows = scratch.best.size();
  }

  // --- the answer ---

  Status finish(std::vector<Hit>& hits) {
    std::vector<Candidate>& best = scratch.best;
    const std::size_t count = std::min<std::size_t>(options_.k, best.size());
    std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(count), best.end(),
                      [](const Candidate& a, const Candidate& b) {
                        return a.distance != b.distance ? a.distance < b.distance : a.key < b.key;
                      });
    best.resize(count);
    hits.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      hits[i].key = best[i].key;
      hits[i].distance = best[i].distance;
      hits[i].metadata = options_.include_metadata ? best[i].metadata : std::string_view();
    }
    return options_.include_metadata ? attach_metadata(hits) : Status{};
  }

  Status attach_metadata(std::vector<Hit>& hits) {
    // The hits have copies of what they need.
    scratch.held.drop<CodesView>();
    scratch.held.drop<RowsView>();
    scratch.held.drop<IdsView>();
    scratch.ids.clear();
    for (const Candidate& candidate : scratch.best) {
      if (!candidate.in_tail) scratch.ids.push_back(candidate.row);
    }
    HeldSections& held = scratch.held;
    return in_groups({format::Section::metadata}, [&](auto places, auto) -> Status {
      VARVE_CHECK(held.hold<MetadataView>(places));
      for (std::size_t rank = 0; rank < hits.size(); ++rank) {
        const Candidate& candidate = scratch.best[rank];
        const std::uint32_t place = place_of(candidate.row);
        if (candidate.in_tail || !std::binary_search(places.begin(), places.end(), place)) continue;
        hits[rank].metadata = held.at<MetadataView>(place).at(row_of(candidate.row));
      }
      held.let_go<MetadataView>(places);
      return {};
    });
  }

  const Env& env_;
  const View& view_;
  const Generation& generation_;
  const RowScorer& scorer_;
  const QueryOptions& options_;
  const Filter* const filter_;  // null: every row matches
  const LetGo let_go_;
  Performance cost_;
  bool every_row_ = false;
  // Of the parts visited: all rows, those that are live, and of these those without codes.
  std::size_t rows_chosen_ = 0, live_chosen_ = 0, uncoded_chosen_ = 0;
};

// The last filter of a thread that was valid: one that is asked again is not parsed again.
struct LastFilter {
  std::string text;  // empty: none
  Filter filter;
};
thread_local LastFilter last_filter;

// Null: every row matches. Valid until the next call by this thread.
Result<const Filter*> filter_of(std::string_view text) {
  if (text.empty()) return nullptr;
  if (last_filter.text != text) {
    VARVE_TRY(Filter filter, Filter::parse(text));
    last_filter.filter = std::move(filter);
    last_filter.text = text;
  }
  return last_filter.filter.matches_everything() ? nullptr : &last_filter.filter;
}

}  // namespace

Status search(const Env& env, const View& view, std::span<const float> query,
              const QueryOptions& options, QueryResult& result) {
  const format::Manifest& manifest = view.generation->manifest();
  VARVE_CHECK(validate_query(query, options, {manifest.dim, manifest.metric}));
  VARVE_TRY(const Filter* const filter, filter_of(options.filter));
  return Search(env, view, query, options, filter).run(result);
}

}  // namespace varve::engine
