#include "cli/drift_bench/comparison.h"

#include <algorithm>
#include <vector>

#include "base/result.h"
#include "cli/bench_batch.h"
#include "cli/recall.h"

namespace varve::cli::drift_bench {
namespace {

constexpr unsigned kRounds = 5;
// Progress is worth a look so often.
constexpr std::size_t kQueriesPerReport = 16;

using Truth = std::vector<std::vector<Hit>>;

Result<Truth> exact_answers(const Snapshot& snapshot, std::span<const float> queries,
                            std::uint32_t dim, QueryOptions options, const ProgressSink& progress) {
  options.exact = true;
  const std::size_t count = queries.size() / dim;
  Truth truth;
  for (std::size_t i = 0; i < count; ++i) {
    VARVE_TRY(QueryResult result, snapshot.query(queries.subspan(i * dim, dim), options));
    truth.push_back(std::move(result.hits));
    if (progress && i % kQueriesPerReport == 0) progress({"exact", i, count, "queries"});
  }
  return truth;
}

// All but the speed. It warms up as well.
Result<Answers> ask(const Snapshot& snapshot, std::span<const float> queries, std::uint32_t dim,
                    const QueryOptions& options, const Truth& truth) {
  Answers answers;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    VARVE_TRY(const QueryResult result, snapshot.query(queries.subspan(i * dim, dim), options));
    answers.recall += recall_of(result.hits, truth[i]);
    answers.nprobe += static_cast<double>(result.performance.nprobe);
    answers.rows_scanned += static_cast<double>(result.performance.rows_scanned);
  }
  const auto count = static_cast<double>(std::max<std::size_t>(truth.size(), 1));
  for (double* mean : {&answers.recall, &answers.nprobe, &answers.rows_scanned}) *mean /= count;
  return answers;
}

}  // namespace

Result<Comparison> compare(const Snapshot& drifted, const Snapshot& fresh,
                           std::span<const float> queries, std::uint32_t dim,
                           const QueryOptions& options, const ProgressSink& progress) {
  VARVE_TRY(const Truth truth, exact_answers(fresh, queries, dim, options, progress));
  Comparison comparison;
  VARVE_TRY(comparison.drifted, ask(drifted, queries, dim, options, truth));
  VARVE_TRY(comparison.fresh, ask(fresh, queries, dim, options, truth));
  std::vector<double> ratios;
  for (unsigned round = 0; round < kRounds; ++round) {
    if (progress) progress({"compare", round, kRounds, "rounds"});
    VARVE_TRY(const double drifted_qps, single_qps(drifted, queries, dim, options, 1, 1));
    VARVE_TRY(const double fresh_qps, single_qps(fresh, queries, dim, options, 1, 1));
    comparison.drifted.qps = std::max(comparison.drifted.qps, drifted_qps);
    comparison.fresh.qps = std::max(comparison.fresh.qps, fresh_qps);
    ratios.push_back(drifted_qps / fresh_qps);
  }
  std::sort(ratios.begin(), ratios.end());
  comparison.ratio = percentile(ratios, 0.5);
  return comparison;
}

}  // namespace varve::cli::drift_bench
