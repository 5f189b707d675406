#include "engine/search.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <string>

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
#include "engine/visits.h"
#include "format/part.h"
#include "kernels/distance.h"

namespace varve::engine {
namespace {

// Candidates beyond k that are put into exact order, so that rounding of float32 at the edge of the
// answer does not decide.
constexpr std::size_t kSpareCandidates = 8;

// With more rows that have no codes among those visited, all are looked at one after the other.
constexpr std::size_t kUncodedShareMax = 4;  // one in so many

// If one row in so many matches or fewer, those are compared one by one: fewer blocks of codes than
// that have no match among their 32 rows.
constexpr std::size_t kMatchShareMax = 24;

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
  Visits visits;
  CodedScan coded;
  FullScan full;
  MatchScan match;
  std::vector<std::uint64_t> ids;
  std::vector<CodedScan::Scored> scored;  // by codes alone, in the order of ids
  std::vector<std::uint32_t> places;
  std::vector<Candidate> best;
  std::deque<std::string> keys;  // of candidates whose ids were let go
};
thread_local Scratch scratch;

// Sections that an idle thread held would stay in memory.
struct LetGo {
  ~LetGo() { scratch.visits.held().clear(); }
};

class Search {
 public:
  Search(const Env& env, const View& view, std::span<const float> query,
         const QueryOptions& options, const Filter* filter)
      : env_(env),
        view_(view),
        generation_(*view.generation),
        scorer_(scratch.scorer),
        visits_(scratch.visits),
        held_(scratch.visits.held()),
        options_(options),
        filter_(filter) {
    scratch.scorer.set(generation_.manifest().metric, query);
  }

  Status run(QueryResult& result, Prefetch* prefetch) {
    Laps laps(*env_.clock);
    const ReadCost before = read_cost();
    const cache::ReadCounts tiers_before = section_counts();
    VARVE_CHECK(
        visits_.choose({&env_, &view_, &options_, filter_, scorer_.unit().data(), &scratch.coded}));
    cost_.rank_us = laps.lap();
    scratch.best.clear();
    scan_tail();
    VARVE_CHECK(scan());
    while (visit_more()) VARVE_CHECK(scan());
    if (options_.bounded && !has_every_row_) cost_.certainty = Certainty::bounded;
    if (view_.resident != nullptr) section_counts().tiers[0] += visits_.parts();
    cost_.scan_us = laps.lap();
    VARVE_CHECK(finish(result.hits));
    cost_.finish_us = laps.lap();
    cost_.total_us = laps.total();
    cost_.store_requests = read_cost().requests - before.requests;
    cost_.store_bytes = read_cost().bytes - before.bytes;
    cost_.tier_reads = std::move(result.performance.tier_reads);
    set_tier_reads(tiers_before);
    if (prefetch != nullptr) read_ahead(*prefetch);
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

  // The sections that a query like this one will ask for in the clusters that come next.
  void read_ahead(Prefetch& prefetch) const {
    if (generation_.manifest().order != ClusterOrder::time || view_.resident != nullptr) return;
    const auto missed = [](const TierReads& reads) { return reads.reads > 0; };
    const bool has_missed =
        std::any_of(cost_.tier_reads.begin() + 1, cost_.tier_reads.end(), missed);
    std::vector<std::uint32_t> parts;
    for (std::size_t place = 0; place < visits_.parts(); ++place) {
      if (held_.live_rows(place) > 0) parts.push_back(held_.parts()[place]);
    }
    std::vector<format::Section> sections{format::Section::ids};
    if (filter_ != nullptr) sections.push_back(format::Section::attributes);
    const bool reads_codes = way_ == Way::codes || way_ == Way::codes_only;
    if (reads_codes) sections.push_back(format::Section::codes);
    if (way_ == Way::codes_only) sections.push_back(format::Section::extra);
    if (way_ != Way::codes_only) sections.push_back(format::Section::rows);
    if (options_.include_metadata) sections.push_back(format::Section::metadata);
    prefetch.after(view_, parts, sections, has_missed);
  }

  bool visit_more() {
    if (has_every_row_ || visits_.sees_every_match()) return false;
    if (options_.bounded) return visits_.widen_to(farthest());
    // The log may have replaced the rows of the clusters visited, or k asks for more than they
    // hold.
    if (options_.nprobe || scratch.best.size() >= options_.k) return false;
    visits_.widen();
    return true;
  }

  // The Euclidean distance of the k-th candidate, as clusters see rows.
  double farthest() const {
    std::vector<Candidate>& best = scratch.best;
    if (best.size() < options_.k) return std::numeric_limits<double>::infinity();
    const auto last = best.begin() + static_cast<std::ptrdiff_t>(options_.k - 1);
    std::nth_element(best.begin(), last, best.end(), [](const Candidate& a, const Candidate& b) {
      return a.distance < b.distance;
    });
    const bool is_cosine = generation_.manifest().metric == Metric::cosine;
    return std::sqrt(std::max(0.0, is_cosine ? 2 * last->distance : last->distance));
  }

  // --- which rows ---

  enum class Way : std::uint8_t { codes_only, codes, matches, all };
  Way choose_way() const {
    if (options_.codes_only && generation_.rotation() != nullptr) return Way::codes_only;
    const bool looks_at_all =
        options_.bounded || (visits_.sees_every_match() && !visits_.is_all_by_recall());
    const bool by_codes = !looks_at_all && generation_.rotation() != nullptr &&
                          visits_.uncoded_rows() * kUncodedShareMax <= visits_.live_rows();
    const bool few = filter_ != nullptr && visits_.live_rows() * kMatchShareMax <= visits_.rows();
    // Codes say which rows need not be read at all.
    if (few && (!by_codes || held_.is_resident())) return Way::matches;
    return by_codes ? Way::codes : Way::all;
  }

  // Adds the candidates of the clusters chosen to scratch.best. Rows that a newer log entry
  // replaced are dropped after the scan; if that leaves too few, more are taken. Ends: `wanted`
  // doubles up to the number of rows.
  Status scan() {
    if (filter_ != nullptr) VARVE_CHECK(visits_.visit_matches());
    const Way way = choose_way();
    way_ = way;
    const bool looks_at_rows = way == Way::matches || way == Way::all;
    has_every_row_ = looks_at_rows && visits_.has_every_match();
    cost_.certainty = has_every_row_ ? Certainty::exact : Certainty::approximate;
    cost_.nprobe = visits_.clusters();
    cost_.rows_scanned = visits_.rows();
    if (way == Way::all) VARVE_CHECK(scratch.full.score(held_, scorer_));
    if (way == Way::matches) VARVE_CHECK(scratch.match.score(held_, scorer_));
    cost_.rows_compared = way == Way::all ? visits_.rows() : visits_.live_rows();
    std::size_t wanted = options_.k;
    while (true) {
      VARVE_TRY(const bool enough, scan_for(way, wanted));
      if (enough) return {};
      wanted *= 2;
    }
  }

  Result<bool> scan_for(Way way, std::size_t wanted) {
    const std::size_t spare = way == Way::all ? kSpareCandidates : 0;
    const std::size_t capacity = std::min(visits_.live_rows(), wanted + spare);
    if (capacity == 0) return take_candidates(way, 0);
    CodedScan& coded = scratch.coded;
    if (way == Way::codes_only) {
      VARVE_CHECK(coded.nearest_by_codes(held_, scorer_, visits_.to_centroids(), capacity,
                                         generation_.extra_shape(), *generation_.directions(),
                                         scratch.scored));
      cost_.rows_compared = coded.rows_compared();
      scratch.ids.clear();
      for (const auto& one : scratch.scored) scratch.ids.push_back(one.id);
    } else if (way == Way::codes) {
      VARVE_CHECK(coded.nearest(held_, scorer_, visits_.to_centroids(), capacity, scratch.ids));
      cost_.rows_compared = coded.rows_compared();
    } else if (way == Way::matches) {
      scratch.match.nearest(scorer_, capacity, scratch.ids);
    } else {
      scratch.full.nearest(held_, scorer_, capacity, has_every_row_ || options_.bounded,
                           scratch.ids);
    }
    return take_candidates(way, capacity);
  }

  // From scratch.ids, of which the scan found as many as there are up to `capacity`. False: rows
  // that the tail replaced took so many places that more have to be found.
  Result<bool> take_candidates(Way way, std::size_t capacity) {
    std::erase_if(scratch.best, [](const Candidate& candidate) { return !candidate.in_tail; });
    scratch.keys.clear();
    if (capacity == 0) return true;
    const std::size_t count = scratch.ids.size();
    std::size_t dropped = 0;
    VARVE_CHECK(way == Way::codes_only ? add_estimated(dropped) : add_candidates(dropped));
    const bool more_exist = count >= capacity && capacity < visits_.live_rows();
    return count - dropped >= std::min<std::size_t>(options_.k, visits_.live_rows()) || !more_exist;
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
      const auto group = rest.first(held_.count_within(rest, sections));
      const auto first = id;
      while (id != ids.cend() && place_of(*id) <= group.back()) ++id;
      VARVE_CHECK(use(group, std::span(first, id)));
      rest = rest.subspan(group.size());
    }
    return {};
  }

  Status add_candidates(std::size_t& dropped) {
    return in_groups({format::Section::rows, format::Section::ids},
                     [&](auto places, auto group) -> Status {
                       VARVE_CHECK(held_.hold<IdsView>(places));
                       VARVE_CHECK(held_.hold<RowsView>(places));
                       // They come while the distances are computed.
                       for (const std::uint64_t id : group) {
                         held_.at<IdsView>(place_of(id)).fetch(row_of(id));
                       }
                       for (const std::uint64_t id : group) {
                         const RowsView& rows = held_.at<RowsView>(place_of(id));
                         add_candidate(id, scorer_.exact(rows.rows, row_of(id)), dropped);
                       }
                       held_.let_go<IdsView>(places);
                       held_.let_go<RowsView>(places);
                       return {};
                     });
  }

  Status add_estimated(std::size_t& dropped) {
    auto next = scratch.scored.cbegin();
    return in_groups({format::Section::ids}, [&](auto places, auto group) -> Status {
      VARVE_CHECK(held_.hold<IdsView>(places));
      for (const std::uint64_t id : group) {
        add_candidate(id, static_cast<double>((next++)->distance), dropped);
      }
      held_.let_go<IdsView>(places);
      return {};
    });
  }

  void add_candidate(std::uint64_t id, double distance, std::size_t& dropped) {
    std::string_view key = held_.at<IdsView>(place_of(id)).key(row_of(id));
    // The log behind the fold pointer is newer than every row in clusters.
    if (view_.tail_count > 0 && view_.tail->newest(key, view_.tail_count)) {
      ++dropped;
      return;
    }
    if (!held_.keeps_all()) key = scratch.keys.emplace_back(key);
    scratch.best.push_back({distance, key, {}, id, false});
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
    held_.drop<CodesView>();
    held_.drop<RowsView>();
    held_.drop<IdsView>();
    scratch.ids.clear();
    for (const Candidate& candidate : scratch.best) {
      if (!candidate.in_tail) scratch.ids.push_back(candidate.row);
    }
    return in_groups({format::Section::metadata}, [&](auto places, auto) -> Status {
      VARVE_CHECK(held_.hold<MetadataView>(places));
      for (std::size_t rank = 0; rank < hits.size(); ++rank) {
        const Candidate& candidate = scratch.best[rank];
        const std::uint32_t place = place_of(candidate.row);
        if (candidate.in_tail || !std::binary_search(places.begin(), places.end(), place)) continue;
        hits[rank].metadata = held_.at<MetadataView>(place).at(row_of(candidate.row));
      }
      held_.let_go<MetadataView>(places);
      return {};
    });
  }

  const Env& env_;
  const View& view_;
  const Generation& generation_;
  const RowScorer& scorer_;
  Visits& visits_;
  HeldSections& held_;
  const QueryOptions& options_;
  const Filter* const filter_;  // null: every row matches
  const LetGo let_go_;
  Performance cost_;
  // Every row that counts is among those visited.
  bool has_every_row_ = false;
  Way way_ = Way::all;  // of the last scan
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
              const QueryOptions& options, QueryResult& result, Prefetch* prefetch) {
  const format::Manifest& manifest = view.generation->manifest();
  VARVE_CHECK(validate_query(query, options, config_of(manifest)));
  VARVE_TRY(const Filter* const filter, filter_of(options.filter));
  return Search(env, view, query, options, filter).run(result, prefetch);
}

}  // namespace varve::engine
