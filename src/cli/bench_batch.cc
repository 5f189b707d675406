#include "cli/bench_batch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/result.h"

namespace varve::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

double qps_since(SteadyClock::time_point begin, std::size_t queries) {
  const std::chrono::duration<double> took = SteadyClock::now() - begin;
  return static_cast<double>(queries) / took.count();
}

// Those of one thread: every `step`th from `first` on.
Status ask_some(const Snapshot& snapshot, std::span<const float> vectors, std::uint32_t dim,
                const QueryOptions& options, std::size_t first, std::size_t step) {
  QueryResult result;
  for (std::size_t at = first * dim; at < vectors.size(); at += step * dim) {
    VARVE_CHECK(snapshot.query_into(vectors.subspan(at, dim), options, result));
  }
  return {};
}

bool same_hits(const QueryResult& a, const QueryResult& b) {
  return std::equal(a.hits.begin(), a.hits.end(), b.hits.begin(), b.hits.end(),
                    [](const Hit& one, const Hit& other) {
                      return one.key == other.key && one.distance == other.distance;
                    });
}

}  // namespace

Result<double> single_qps(const Snapshot& snapshot, std::span<const float> vectors,
                          std::uint32_t dim, const QueryOptions& options, unsigned threads,
                          unsigned rounds) {
  double best = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    std::vector<Status> results(threads);
    const auto begin = SteadyClock::now();
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; ++i) {
      others.emplace_back(
          [&, i] { results[i] = ask_some(snapshot, vectors, dim, options, i, threads); });
    }
    results[0] = ask_some(snapshot, vectors, dim, options, 0, threads);
    for (std::thread& other : others) other.join();
    best = std::max(best, qps_since(begin, vectors.size() / dim));
    for (const Status& status : results) VARVE_CHECK(status);
  }
  return best;
}

Result<BatchRun> batch_qps(const Snapshot& snapshot, std::span<const float> vectors,
                           std::uint32_t dim, const QueryOptions& options, unsigned rounds) {
  BatchRun run;
  std::vector<QueryResult> results;
  for (unsigned round = 0; round < rounds; ++round) {
    const auto begin = SteadyClock::now();
    VARVE_CHECK(snapshot.query_batch(vectors, options, results));
    run.qps = std::max(run.qps, qps_since(begin, vectors.size() / dim));
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    VARVE_TRY(const QueryResult single, snapshot.query(vectors.subspan(i * dim, dim), options));
    if (!same_hits(single, results[i])) ++run.different;
  }
  return run;
}

}  // namespace varve::cli
