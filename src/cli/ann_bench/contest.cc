#include "cli/ann_bench/contest.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/assert.h"
#include "cli/recall.h"

namespace varve::cli::ann_bench {
namespace {

// Beyond the highest recall of the report, so that a point lies on each side of it.
constexpr double kRecallEnough = 0.9995;
// Of a doubling of the effort or so.
constexpr double kGainMin = 1e-4;
constexpr double kPassSecondsMax = 20;
// Of the speed of the sweep's front at the same recall: what is below gets no second chance. Most
// points of a sweep over two settings are.
constexpr double kHopelessShare = 0.5;

double seconds_of(const Pass& pass) {
  return std::accumulate(pass.us.begin(), pass.us.end(), 0.0) / 1e6;
}

class Contest {
 public:
  Contest(const AnnSet& set, const Truth& truth, const ContestOptions& options,
          const ProgressSink& progress)
      : set_(set), truth_(truth), options_(options), progress_(progress) {}

  Outcome build(Engine& engine) {
    report(fmt::format("build {}", engine.name()), 0, 0);
    Outcome outcome;
    outcome.engine = engine.name();
    auto built = engine.build();
    if (built) {
      outcome.built = std::move(*built);
    } else {
      outcome.missing = reason_of(built.error());
    }
    return outcome;
  }

  void first_round(Engine& engine, Outcome& outcome) {
    for (const auto& line : outcome.built.sweep) {
      double before = -1;
      for (const Json& parameters : line) {
        outcome.points.push_back(SweepPoint{parameters, {}, 0, 0, 0, 0});
        if (!run(engine, outcome, outcome.points.back())) return;
        const SweepPoint& point = outcome.points.back();
        const double recall = point.recall.by_distance;
        const double seconds = static_cast<double>(set_.query_count()) / point.qps;
        if (recall >= kRecallEnough || seconds > kPassSecondsMax) break;
        if (recall < before + kGainMin && recall > 0.5) break;
        before = recall;
      }
    }
  }

  void later_round(Engine& engine, Outcome& outcome) {
    const auto front = front_by_distance(outcome);
    for (SweepPoint& point : outcome.points) {
      const double best = qps_at(front, point.recall.by_distance).value_or(0);
      if (point.qps < kHopelessShare * best) continue;
      if (!run(engine, outcome, point)) return;
    }
  }

  void report(const std::string& phase, std::uint64_t done, std::uint64_t total) const {
    if (progress_) progress_({phase, done, total, "engines"});
  }

 private:
  static std::string reason_of(const Error& error) {
    return error.hint.empty() ? error.message : fmt::format("{} ({})", error.message, error.hint);
  }

  // False: the engine failed, and is missing from now on.
  bool run(Engine& engine, Outcome& outcome, SweepPoint& point) {
    auto pass = engine.run(point.parameters, options_.core);
    if (!pass) {
      outcome.missing = reason_of(pass.error());
      outcome.points.clear();
      return false;
    }
    const double qps = static_cast<double>(pass->us.size()) / std::max(seconds_of(*pass), 1e-9);
    ++point.rounds;
    if (qps <= point.qps) return true;
    point.qps = qps;
    point.recall = ann_bench::recall_of(set_, truth_, pass->ids);
    std::sort(pass->us.begin(), pass->us.end());
    point.p50_us = percentile(pass->us, 0.50);
    point.p99_us = percentile(pass->us, 0.99);
    return true;
  }

  const AnnSet& set_;
  const Truth& truth_;
  const ContestOptions& options_;
  const ProgressSink& progress_;
};

}  // namespace

std::vector<Outcome> run_contest(std::span<const std::unique_ptr<Engine>> engines,
                                 const AnnSet& set, const Truth& truth,
                                 const ContestOptions& options, const ProgressSink& progress) {
  Contest contest(set, truth, options, progress);
  std::vector<Outcome> outcomes;
  for (const auto& engine : engines) outcomes.push_back(contest.build(*engine));
  for (std::uint32_t round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < engines.size(); ++i) {
      contest.report(fmt::format("round {}", round + 1), i, engines.size());
      if (!outcomes[i].missing.empty()) continue;
      if (round == 0) {
        contest.first_round(*engines[i], outcomes[i]);
      } else {
        contest.later_round(*engines[i], outcomes[i]);
      }
    }
  }
  return outcomes;
}

std::vector<CurvePoint> front_by_distance(const Outcome& outcome) {
  std::vector<CurvePoint> points;
  for (const SweepPoint& point : outcome.points) {
    points.push_back({point.recall.by_distance, point.qps});
  }
  return pareto_front(std::move(points));
}

std::vector<CurvePoint> front_by_ids(const Outcome& outcome) {
  std::vector<CurvePoint> points;
  for (const SweepPoint& point : outcome.points) points.push_back({point.recall.by_ids, point.qps});
  return pareto_front(std::move(points));
}

}  // namespace varve::cli::ann_bench
