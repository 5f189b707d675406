#include "engine/outlier_scan.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "engine/held_sections.h"
#include "engine/outlier_rows.h"
#include "engine/row_scorer.h"
#include "engine/validate.h"
#include "kernels/top_k.h"

namespace varve::engine {
namespace {

// Every row is compared with a run of so many rows of its part. More bound it better and cost each
// row; fewer leave more rows to be compared with the rest.
constexpr std::size_t kRunRowsMin = 128;
constexpr std::size_t kRunRowsMax = 1024;
constexpr std::size_t kRunRowsPerNeighbor = 4;
// Beside `count`, rows that set the first cutoff.
constexpr std::size_t kSpareRows = 32;
// What rows not yet decided may take together.
constexpr std::uint64_t kSuspectBytesMax = 128ULL << 20;
// So many of the nearest clusters are looked at in rounds of twice as many; then all others.
constexpr std::size_t kRankedClusters = 64;
// Clusters whose visits are listed at a time.
constexpr std::size_t kGroupsAtOnce = 256;
constexpr std::size_t kPiecesPerThread = 8;

// A row that may be among the answer.
struct Suspect {
  std::uint64_t id = 0;  // row_id of its block and row
  std::size_t group = 0;
  std::string key;
  std::vector<float> values;
  RowScorer scorer;             // borrows `values`
  std::vector<double> nearest;  // a heap of the smallest distances so far, the largest in front
  std::vector<bool> seen;       // groups
  bool is_dropped = false;
};

struct Outlier {
  double distance = 0;
  std::string key;
  std::uint64_t id = 0;

  // Whether it stands before another in the answer.
  bool operator<(const Outlier& other) const {
    return distance != other.distance ? distance > other.distance : key < other.key;
  }
};

struct Visit {
  std::uint32_t group = 0;
  std::uint32_t suspect = 0;
};

// Float32 distances of `count` rows from `begin` on.
void score_run(const RowScorer& scorer, const RowsView& view, std::size_t begin, std::size_t count,
               float* out) {
  RowsView run;
  run.rows = view.rows.sub(begin, count);
  if (view.inverse_norms != nullptr) run.inverse_norms = view.inverse_norms + begin;
  scorer.all(run, out);
  for (const std::uint32_t row : view.extreme) {
    if (row >= begin && row < begin + count) out[row - begin] = scorer.one(view, row);
  }
}

class OutlierScan {
 public:
  OutlierScan(const Env& env, const View& view, const OutlierOptions& options)
      : env_(env), view_(view), options_(options), rows_(env, view) {}

  Result<OutlierReport> run(const Filter* filter) {
    VARVE_CHECK(rows_.open(filter));
    OutlierReport report;
    report.rows = rows_.live_rows();
    if (report.rows < 2) return report;
    neighbors_ = std::min<std::uint64_t>(options_.neighbors, report.rows - 1);
    VARVE_CHECK(bound_rows());
    std::size_t batch = options_.count + kSpareRows;
    std::uint64_t decided = 0;
    while (true) {
      std::vector<std::uint64_t> ids = take_farthest(std::min(batch, suspects_max()));
      if (ids.empty()) break;
      VARVE_CHECK(examine(ids));
      decided += finished_;
      examined_ += ids.size();
      batch *= 2;
    }
    report.dropped = report.rows - decided;
    report.distances = distances_;
    const auto n = static_cast<double>(report.rows);
    report.pair_share = static_cast<double>(report.distances) / (n * (n - 1));
    VARVE_CHECK(answer(report.outliers));
    return report;
  }

 private:
  void report(const char* phase, std::uint64_t done, std::uint64_t total) const {
    if (options_.progress) options_.progress({phase, done, total, "vectors"});
  }
  Metric metric() const { return view_.generation->manifest().metric; }
  std::uint32_t dim() const { return view_.generation->manifest().dim; }

  std::size_t suspects_max() const {
    const std::uint64_t bytes = sizeof(Suspect) + dim() * (2 * sizeof(float) + 2) +
                                neighbors_ * sizeof(double) + rows_.groups() / 8;
    return std::max<std::uint64_t>(1, kSuspectBytesMax / bytes);
  }

  // --- a bound of each row, from few others ---

  // bounds_: an upper bound of the distance that decides about a row. Negative: no bound, but as
  // far out it seems. NaN: it does not count, or no longer.
  Status bound_rows() {
    bounds_.resize(rows_.blocks());
    for (std::size_t block = 0; block < rows_.blocks(); ++block) {
      bounds_[block].assign(rows_.rows_of(block), std::numeric_limits<float>::quiet_NaN());
    }
    std::vector<std::uint32_t> blocks;
    std::uint64_t done = 0;
    for (std::size_t group = 0; group <= rows_.groups(); ++group) {
      const bool is_end = group == rows_.groups();
      if (!is_end) {
        const auto more = rows_.blocks_of(group);
        blocks.insert(blocks.end(), more.begin(), more.end());
      }
      // A few clusters at a time keep all threads busy.
      const bool is_full = !blocks.empty() && rows_.count_within(blocks) < blocks.size();
      if (!is_end && !is_full && blocks.size() < kGroupsAtOnce) continue;
      for (std::span<const std::uint32_t> rest = blocks; !rest.empty();) {
        const auto some = rest.first(rows_.count_within(rest));
        VARVE_CHECK(bound_blocks(some));
        for (const std::uint32_t block : some) done += rows_.live_rows_of(block);
        report("bound", done, rows_.live_rows());
        rest = rest.subspan(some.size());
      }
      blocks.clear();
    }
    return {};
  }

  Status bound_blocks(std::span<const std::uint32_t> blocks) {
    VARVE_TRY(const OutlierRows::Held held, rows_.load(blocks));
    env_.compute->parallel_for(blocks.size(), [&](std::size_t i) {
      // A small part of a cluster is bounded by the base of it too.
      std::size_t base = i;
      while (base > 0 && rows_.group_of(blocks[base - 1]) == rows_.group_of(blocks[i])) --base;
      bound_block(blocks[i], held.views[i], blocks[base], held.views[base]);
    });
    return {};
  }

  void bound_block(std::uint32_t block, const RowsView& view, std::uint32_t base,
                   const RowsView& base_view) {
    const std::size_t run_rows =
        std::clamp(neighbors_ * kRunRowsPerNeighbor, kRunRowsMin, kRunRowsMax);
    RowScorer scorer;
    std::vector<float> values(dim());
    std::vector<float> near;
    std::vector<float> scores(run_rows);
    std::uint64_t distances = 0;
    const auto look = [&](std::uint32_t at, const RowsView& rows, std::size_t begin,
                          std::uint64_t self) {
      const std::size_t count = std::min(run_rows, rows.rows.count - begin);
      score_run(scorer, rows, begin, count, scores.data());
      distances += count;
      for (std::size_t i = 0; i < count; ++i) {
        const auto row = static_cast<std::uint32_t>(begin + i);
        if (row_id(at, row) == self || !rows_.counts(at, row) || std::isnan(scores[i])) continue;
        near.push_back(scores[i]);
      }
    };
    for (std::uint32_t row = 0; row < view.rows.count; ++row) {
      if (!rows_.counts(block, row)) continue;
      kernels::widen(view.rows, row, values.data());
      scorer.set(metric(), values);
      near.clear();
      look(block, view, row / run_rows * run_rows, row_id(block, row));
      if (near.size() < neighbors_ && base != block) look(base, base_view, 0, row_id(block, row));
      bounds_[block][row] = bound_of(scorer, near);
    }
    distances_ += distances;
  }

  float bound_of(const RowScorer& scorer, std::vector<float>& near) const {
    // Alone: nothing is known, and that is suspicious.
    if (near.empty()) return -std::numeric_limits<float>::infinity();
    const std::size_t last = std::min(near.size(), neighbors_) - 1;
    std::nth_element(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(last), near.end());
    const float far = std::max(0.0F, scorer.with_margin(near[last]));
    return near.size() < neighbors_ ? -far : far;
  }

  // --- which rows are looked at next ---

  bool is_out(double distance, const std::string& key) const {
    if (found_.size() < options_.count) return false;
    const Outlier& worst = found_.back();
    return distance != worst.distance ? distance < worst.distance : key >= worst.key;
  }

  // Rows not yet taken that seem farthest out, and marks them as taken.
  std::vector<std::uint64_t> take_farthest(std::size_t count) {
    const bool has_cutoff = found_.size() >= options_.count;
    const double cutoff = has_cutoff ? found_.back().distance : 0;
    kernels::TopK farthest(count);
    left_ = 0;
    for (std::uint32_t block = 0; block < bounds_.size(); ++block) {
      for (std::uint32_t row = 0; row < bounds_[block].size(); ++row) {
        const float bound = bounds_[block][row];
        if (has_cutoff && !std::signbit(bound) && static_cast<double>(bound) < cutoff) continue;
        if (!std::isnan(bound)) ++left_;
        farthest.add(-std::fabs(bound), row_id(block, row));
      }
    }
    std::vector<std::uint64_t> ids;
    for (const auto& scored : farthest.take()) {
      ids.push_back(scored.id);
      bounds_[place_of(scored.id)][row_of(scored.id)] = std::numeric_limits<float>::quiet_NaN();
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  // --- some rows against all others, until they are dropped ---

  // `ids` in order.
  Status examine(std::span<const std::uint64_t> ids) {
    VARVE_CHECK(make_suspects(ids));
    VARVE_CHECK(look_at_home());
    const std::size_t clusters = rows_.clusters();
    for (std::size_t first = 0, count = 2; first < std::min(clusters, kRankedClusters);
         first = std::exchange(count, 2 * count)) {
      VARVE_CHECK(look_at_ranked(first, std::min(count, clusters)));
    }
    VARVE_CHECK(look_at_others());
    finished_ = 0;
    for (Suspect& suspect : suspects_) {
      // Of damaged rows only: one that has no distance to any other.
      if (suspect.is_dropped || suspect.nearest.empty()) continue;
      ++finished_;
      add({suspect.nearest.front(), std::move(suspect.key), suspect.id});
    }
    suspects_.clear();
    return {};
  }

  void add(Outlier outlier) {
    found_.insert(std::upper_bound(found_.begin(), found_.end(), outlier), std::move(outlier));
    if (found_.size() > options_.count) found_.pop_back();
  }

  Status make_suspects(std::span<const std::uint64_t> ids) {
    suspects_.clear();
    suspects_.resize(ids.size());
    std::vector<std::uint32_t> rows;
    for (std::size_t begin = 0, end = 0; begin < ids.size(); begin = end) {
      const std::uint32_t block = place_of(ids[begin]);
      rows.clear();
      for (; end < ids.size() && place_of(ids[end]) == block; ++end) {
        rows.push_back(row_of(ids[end]));
      }
      VARVE_TRY(const OutlierRows::Held held, rows_.load({&block, 1}));
      VARVE_TRY(auto keys, rows_.keys(block, rows));
      for (std::size_t i = 0; i < rows.size(); ++i) {
        Suspect& suspect = suspects_[begin + i];
        suspect.id = ids[begin + i];
        suspect.group = rows_.group_of(block);
        suspect.key = std::move(keys[i]);
        suspect.values.resize(dim());
        kernels::widen(held.views[0].rows, rows[i], suspect.values.data());
        suspect.scorer.set(metric(), suspect.values);
        suspect.seen.resize(rows_.groups());
      }
    }
    return {};
  }

  Status look_at_home() {
    std::vector<Visit> visits;
    for (std::uint32_t i = 0; i < suspects_.size(); ++i) want(i, suspects_[i].group, visits);
    return look(visits);
  }

  // Clusters first to end - 1 in the order of distance.
  Status look_at_ranked(std::size_t first, std::size_t end) {
    std::vector<Visit> visits;
    std::vector<ann::CentroidSet::Ranked> ranked;
    for (std::uint32_t i = 0; i < suspects_.size(); ++i) {
      if (suspects_[i].is_dropped) continue;
      view_.generation->centroids().rank(suspects_[i].scorer.unit().data(), end, ranked);
      for (std::size_t rank = first; rank < end; ++rank) want(i, ranked[rank].index, visits);
    }
    return look(visits);
  }

  Status look_at_others() {
    std::vector<Visit> visits;
    for (std::size_t group = 0; group < rows_.groups();) {
      const std::size_t end = std::min(rows_.groups(), group + kGroupsAtOnce);
      visits.clear();
      for (; group < end; ++group) {
        for (std::uint32_t i = 0; i < suspects_.size(); ++i) want(i, group, visits);
      }
      VARVE_CHECK(look(visits));
      report("compare", examined_, examined_ + left_);
    }
    return {};
  }

  void want(std::uint32_t suspect, std::size_t group, std::vector<Visit>& visits) {
    if (suspects_[suspect].is_dropped || suspects_[suspect].seen[group]) return;
    suspects_[suspect].seen[group] = true;
    visits.push_back({static_cast<std::uint32_t>(group), suspect});
  }

  // Sorts `visits`.
  Status look(std::vector<Visit>& visits) {
    std::sort(visits.begin(), visits.end(), [](const Visit& a, const Visit& b) {
      return a.group != b.group ? a.group < b.group : a.suspect < b.suspect;
    });
    // A block and the visits of its cluster.
    std::vector<std::uint32_t> blocks;
    std::vector<std::span<const Visit>> visits_of;
    for (std::size_t begin = 0, end = 0; begin < visits.size(); begin = end) {
      while (end < visits.size() && visits[end].group == visits[begin].group) ++end;
      for (const std::uint32_t block : rows_.blocks_of(visits[begin].group)) {
        blocks.push_back(block);
        visits_of.push_back(std::span(visits).subspan(begin, end - begin));
      }
    }
    for (std::size_t begin = 0; begin < blocks.size();) {
      const auto some =
          std::span(blocks).subspan(begin, rows_.count_within(std::span(blocks).subspan(begin)));
      VARVE_TRY(const OutlierRows::Held held, rows_.load(some));
      compare(some, std::span(visits_of).subspan(begin, some.size()), held);
      begin += some.size();
    }
    return {};
  }

  // A thread has suspects of its own, so that nothing of them needs a lock.
  void compare(std::span<const std::uint32_t> blocks,
               std::span<const std::span<const Visit>> visits_of, const OutlierRows::Held& held) {
    const std::size_t pieces = std::min(suspects_.size(), env_.compute->width() * kPiecesPerThread);
    env_.compute->parallel_for(pieces, [&](std::size_t piece) {
      const std::size_t begin = piece * suspects_.size() / pieces;
      const std::size_t end = (piece + 1) * suspects_.size() / pieces;
      std::vector<float> scores;
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto visit = std::lower_bound(
            visits_of[i].begin(), visits_of[i].end(), begin,
            [](const Visit& a, std::size_t suspect) { return a.suspect < suspect; });
        for (; visit != visits_of[i].end() && visit->suspect < end; ++visit) {
          Suspect& suspect = suspects_[visit->suspect];
          if (!suspect.is_dropped) meet(suspect, blocks[i], held.views[i], scores);
        }
      }
    });
  }

  void meet(Suspect& suspect, std::uint32_t block, const RowsView& view,
            std::vector<float>& scores) {
    const std::size_t count = view.rows.count;
    scores.resize(count);
    suspect.scorer.all(view, scores.data());
    distances_ += count;
    std::vector<double>& nearest = suspect.nearest;
    const auto limit_of = [&] {
      return nearest.size() < neighbors_
                 ? std::numeric_limits<float>::infinity()
                 : suspect.scorer.with_margin(static_cast<float>(nearest.front()));
    };
    float limit = limit_of();
    for (std::uint32_t row = 0; row < count; ++row) {
      if (scores[row] > limit || !rows_.counts(block, row) || row_id(block, row) == suspect.id) {
        continue;
      }
      const double distance = suspect.scorer.exact(view.rows, row);
      if (std::isnan(distance)) continue;  // of damaged rows only
      if (nearest.size() == neighbors_) {
        if (distance >= nearest.front()) continue;
        std::pop_heap(nearest.begin(), nearest.end());
        nearest.pop_back();
      }
      nearest.push_back(distance);
      std::push_heap(nearest.begin(), nearest.end());
      limit = limit_of();
    }
    suspect.is_dropped = nearest.size() == neighbors_ && is_out(nearest.front(), suspect.key);
  }

  // --- the answer ---

  Status answer(std::vector<Hit>& hits) const {
    for (const Outlier& outlier : found_) {
      Hit hit{outlier.key, outlier.distance, {}};
      if (options_.include_metadata) {
        VARVE_TRY(hit.metadata, rows_.metadata(place_of(outlier.id), row_of(outlier.id)));
      }
      hits.push_back(std::move(hit));
    }
    return {};
  }

  const Env& env_;
  const View& view_;
  const OutlierOptions& options_;
  OutlierRows rows_;
  std::size_t neighbors_ = 0;
  std::vector<std::vector<float>> bounds_;  // by block and row
  std::vector<Suspect> suspects_;
  std::uint64_t examined_ = 0;  // rows of all batches so far
  std::uint64_t left_ = 0;      // rows that may still be, when the last batch was taken
  std::size_t finished_ = 0;    // suspects of the last batch that were compared with all rows
  std::vector<Outlier> found_;  // in the order of the answer, at most `count`
  std::atomic<std::uint64_t> distances_ = 0;
};

}  // namespace

Result<OutlierReport> find_outliers(const Env& env, const View& view,
                                    const OutlierOptions& options) {
  VARVE_CHECK(validate_outlier_options(options));
  Filter filter;
  if (!options.filter.empty()) {
    VARVE_TRY(filter, Filter::parse(options.filter));
  }
  return OutlierScan(env, view, options).run(filter.matches_everything() ? nullptr : &filter);
}

}  // namespace varve::engine
