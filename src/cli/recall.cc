#include "cli/recall.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "base/result.h"

namespace varve::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Pass {
  std::vector<QueryResult> results;
  std::vector<double> us;  // sorted
  double total_us = 0;

  double qps() const { return total_us > 0 ? static_cast<double>(us.size()) * 1e6 / total_us : 0; }
};

struct PassOptions {
  const char* phase;
  QueryOptions query;
};

Result<Pass> run_pass(const Snapshot& snapshot, const std::vector<std::vector<float>>& queries,
                      const PassOptions& options, const ProgressSink& progress) {
  Pass pass;
  for (const auto& query : queries) {
    const auto start = SteadyClock::now();
    auto result = snapshot.query(query, options.query);
    const std::chrono::duration<double, std::micro> took = SteadyClock::now() - start;
    if (!result) return tl::unexpected(result.error());
    pass.results.push_back(std::move(*result));
    pass.us.push_back(took.count());
    pass.total_us += took.count();
    if (progress) progress({options.phase, pass.us.size(), queries.size(), "queries"});
  }
  std::sort(pass.us.begin(), pass.us.end());
  return pass;
}

}  // namespace

double percentile(std::span<const double> sorted, double share) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

double recall_of(std::span<const Hit> found, std::span<const Hit> exact, bool estimated) {
  if (exact.empty()) return 1;
  std::set<std::string_view> keys;
  for (const Hit& hit : exact) keys.insert(hit.key);
  const auto good = std::count_if(found.begin(), found.end(), [&](const Hit& hit) {
    return keys.contains(hit.key) || (!estimated && hit.distance <= exact.back().distance);
  });
  return static_cast<double>(good) / static_cast<double>(exact.size());
}

Result<RecallReport> measure_recall(const Snapshot& snapshot,
                                    const std::vector<std::vector<float>>& queries,
                                    const QueryOptions& options, const ProgressSink& progress) {
  QueryOptions asked = options;
  asked.include_metadata = false;
  QueryOptions exact = asked;
  exact.exact = true;
  exact.bounded = exact.codes_only = false;
  VARVE_TRY(const Pass warm_up, run_pass(snapshot, queries, {"warm up", asked}, progress));
  VARVE_TRY(const Pass timed, run_pass(snapshot, queries, {"query", asked}, progress));
  RecallReport report;
  report.resident_bytes = snapshot.resident_bytes();
  Pass truth;
  if (!asked.exact) {
    VARVE_TRY(truth, run_pass(snapshot, queries, {"exact", exact}, progress));
  }
  const Pass& reference = asked.exact ? warm_up : truth;

  report.queries = queries.size();
  VARVE_TRY(report.vectors, snapshot.vectors());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    report.recall += recall_of(timed.results[i].hits, reference.results[i].hits, asked.codes_only);
    report.nprobe += static_cast<double>(timed.results[i].performance.nprobe);
    report.rows_scanned += static_cast<double>(timed.results[i].performance.rows_scanned);
    report.rows_compared += static_cast<double>(timed.results[i].performance.rows_compared);
  }
  const auto count = static_cast<double>(std::max<std::size_t>(queries.size(), 1));
  for (double* mean :
       {&report.recall, &report.nprobe, &report.rows_scanned, &report.rows_compared}) {
    *mean /= count;
  }
  report.qps = timed.qps();
  report.p50_us = percentile(timed.us, 0.50);
  report.p99_us = percentile(timed.us, 0.99);
  report.exact_p50_us = percentile(asked.exact ? timed.us : truth.us, 0.50);
  report.exact_qps = asked.exact ? timed.qps() : truth.qps();
  return report;
}

}  // namespace varve::cli
