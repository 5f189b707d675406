// `varve bench trace`: what share of recorded accesses each eviction policy would miss.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/replay.h"
#include "varve/result.h"
#include "varve/types.h"

namespace varve::cli {

// A capacity as it was asked for: "5%" of all values, or a number of items or bytes.
struct TraceSize {
  std::string text;
  double share = 0;  // 0: absolute
  std::uint64_t units = 0;

  std::uint64_t capacity_of(const cache::Trace& trace) const;
};

// Comma-separated. `invalid`: neither a percentage above 0 and up to 100 nor a whole number.
Result<std::vector<TraceSize>> parse_trace_sizes(const std::string& text);

// Stands for Belady's policy beside the names of cache::policy_names().
inline constexpr std::string_view kOptimum = "optimum";
// Comma-separated; empty: all and the optimum. `invalid`: one does not exist.
Result<std::vector<std::string>> parse_policies(const std::string& text);

struct TraceRow {
  std::string trace, policy, size;
  std::uint64_t capacity = 0, requests = 0, misses = 0;

  double miss_ratio() const { return static_cast<double>(misses) / static_cast<double>(requests); }
};

// Every policy at every size. Calls `progress` before each replay.
Result<std::vector<TraceRow>> replay_all(const std::string& name, const cache::Trace& trace,
                                         const std::vector<std::string>& policies,
                                         const std::vector<TraceSize>& sizes,
                                         const ProgressSink& progress);

}  // namespace varve::cli
