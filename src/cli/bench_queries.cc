#include "cli/bench_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

#include "base/bytes.h"
#include "base/result.h"
#include "base/sha256.h"
#include "cli/recall.h"

namespace varve::cli {
namespace {

// Progress is worth a look so often.
constexpr std::uint64_t kQueriesPerReport = 64;

// Numbers of queries: ranks by a power law, which rank is whose by a shuffle.
class Popularity {
 public:
  Popularity(std::size_t queries, double zipf, std::uint64_t seed)
      : random_(seed), order_(queries), cumulative_(queries) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::shuffle(order_.begin(), order_.end(), random_);
    double sum = 0;
    for (std::size_t rank = 0; rank < queries; ++rank) {
      sum += std::pow(static_cast<double>(rank + 1), -zipf);
      cumulative_[rank] = sum;
    }
  }
  std::size_t draw() {
    std::uniform_real_distribution<double> uniform(0, cumulative_.back());
    const auto place = std::lower_bound(cumulative_.begin(), cumulative_.end(), uniform(random_));
    const auto rank = static_cast<std::size_t>(place - cumulative_.begin());
    return order_[std::min(rank, order_.size() - 1)];
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::size_t> order_;
  std::vector<double> cumulative_;
};

void add_tier_reads(const Performance& performance, std::vector<TierReads>& sums) {
  if (sums.empty()) {
    sums = performance.tier_reads;
    return;
  }
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i].reads += performance.tier_reads[i].reads;
}

void add_answer(const QueryResult& result, std::string& answers) {
  for (const Hit& hit : result.hits) answers += fmt::format("{}={:a};", hit.key, hit.distance);
  answers += '\n';
  // What was so far, in short.
  constexpr std::size_t kBytesMax = std::size_t{1} << 20;
  if (answers.size() < kBytesMax) return;
  const auto digest = base::sha256(base::as_bytes(answers));
  answers.assign(reinterpret_cast<const char*>(digest.data()), digest.size());
}

}  // namespace

Result<QueryLoadReport> run_query_load(Index& index, std::span<const std::vector<float>> queries,
                                       const QueryLoad& load, const ProgressSink& progress) {
  using SteadyClock = std::chrono::steady_clock;
  Popularity popularity(queries.size(), load.zipf, load.seed);
  QueryLoadReport report;
  std::vector<double> us;
  std::string answers;
  for (std::uint64_t i = 0; i < load.count; ++i) {
    const auto start = SteadyClock::now();
    VARVE_TRY(const QueryResult result, index.query(queries[popularity.draw()], load.options));
    us.push_back(std::chrono::duration<double, std::micro>(SteadyClock::now() - start).count());
    if (result.performance.from_answer_cache) {
      ++report.kept_answers;
    } else {
      add_tier_reads(result.performance, report.tier_reads);
    }
    report.store_requests += result.performance.store_requests;
    report.store_bytes += result.performance.store_bytes;
    add_answer(result, answers);
    if (progress && i % kQueriesPerReport == 0) progress({"query", i, load.count, "queries"});
  }
  const double total_us = std::accumulate(us.begin(), us.end(), 0.0);
  std::sort(us.begin(), us.end());
  report.p50_us = percentile(us, 0.50);
  report.p99_us = percentile(us, 0.99);
  report.qps = total_us > 0 ? static_cast<double>(us.size()) * 1e6 / total_us : 0;
  const auto digest = base::sha256(base::as_bytes(answers));
  for (const auto byte : digest) {
    report.answers_hash += fmt::format("{:02x}", static_cast<unsigned>(byte));
  }
  return report;
}

}  // namespace varve::cli
