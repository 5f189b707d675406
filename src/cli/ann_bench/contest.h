// All engines on the same queries, by turns.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/ann_bench/curve.h"
#include "cli/ann_bench/engine.h"

namespace varve::cli::ann_bench {

// One setting of a sweep. Times are those of the fastest of its passes: what else the machine does
// only ever adds.
struct SweepPoint {
  Json parameters;
  Recall recall;
  double qps = 0, p50_us = 0, p99_us = 0;
  std::uint32_t rounds = 0;
};

struct Outcome {
  std::string engine;
  std::string missing;  // why there are no figures; empty: there are
  Built built;
  std::vector<SweepPoint> points;
};

struct ContestOptions {
  std::uint32_t rounds = 3;
  int core = -1;  // of all queries; negative: any
};

// Builds one after the other. Then, in each round, each engine runs its sweep; the first round
// finds out how far a sweep goes: until nearly all is found, or more effort finds no more, or takes
// too long. Settings far from the best of their engine are measured in that round alone. An engine
// that fails is `missing`, with the reason.
std::vector<Outcome> run_contest(std::span<const std::unique_ptr<Engine>> engines,
                                 const AnnSet& set, const Truth& truth,
                                 const ContestOptions& options, const ProgressSink& progress);

std::vector<CurvePoint> front_by_distance(const Outcome& outcome);
std::vector<CurvePoint> front_by_ids(const Outcome& outcome);

}  // namespace varve::cli::ann_bench
