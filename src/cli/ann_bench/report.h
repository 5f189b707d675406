// What came out of a contest: rows of JSON, tables, the picture.
#pragma once

#include <array>
#include <span>
#include <string>

#include "cli/ann_bench/contest.h"
#include "cli/ann_bench/plot.h"

namespace varve::cli::ann_bench {

inline constexpr std::array kRecallTargets{0.90, 0.95, 0.98, 0.99, 0.999};

// {"engine","kind",...}, kind by kind of each engine: "build", its "sweep", its "at" for each of
// kRecallTargets with qps null where the sweep does not get there; or "missing" with the reason.
Json rows_json(std::span<const Outcome> outcomes);

// One row for each engine that ran; columns as of `at` and `build`, then how many times as fast as
// each other engine the first one is. Padded for a terminal, or in Markdown.
std::string tables_text(std::span<const Outcome> outcomes, bool markdown);

Plot plot_of(std::span<const Outcome> outcomes, const AnnSet& set, std::uint32_t k);

}  // namespace varve::cli::ann_bench
