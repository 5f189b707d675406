// Ranking of centroids by a scan of all codes and by levels, one thread, 128 dimensions. Counters:
// recall against the scan of all, codes' bytes a centroid, seconds to build.
//
//   ann_bench --benchmark_filter=ranking/
#include <benchmark/benchmark.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>

#include "ann/centroid_ranking.h"
#include "ann/test_data.h"

namespace varve::ann {
namespace {

constexpr std::uint32_t kDim = 128;
constexpr std::size_t kQueries = 300;
constexpr std::size_t kNoLevels = std::numeric_limits<std::size_t>::max();

struct Set {
  CentroidSet centroids;
  kernels::Rotation rotation{kDim, 3};
  std::vector<float> queries;
  std::vector<kernels::SignTable> tables;
  CentroidRanking all, levels;

  explicit Set(std::size_t count) {
    auto made = generate_overlapping(count + kQueries, kDim, 5);
    const auto middle = made.values.begin() + static_cast<std::ptrdiff_t>(count * kDim);
    queries.assign(middle, made.values.end());
    made.values.resize(count * kDim);
    made.values.shrink_to_fit();
    centroids = CentroidSet(std::move(made.values), kDim);
    tables.resize(kQueries);
    std::vector<float> rotated(rotation.padded_dim());
    for (std::size_t q = 0; q < kQueries; ++q) {
      rotation.apply(query(q), rotated.data());
      tables[q].set(rotated.data(), rotation.padded_dim());
    }
    all = CentroidRanking(centroids, rotation, kNoLevels);
    levels = CentroidRanking(centroids, rotation, 1);
  }
  const float* query(std::size_t q) const { return queries.data() + q * kDim; }
};

// One at a time: the largest takes 300 MB.
const Set& set_of(std::size_t count) {
  static std::size_t held = 0;
  static std::unique_ptr<Set> set;
  if (held != count) {
    set.reset();
    set = std::make_unique<Set>(count);
    held = count;
  }
  return *set;
}

double recall_of(const Set& set, const CentroidRanking& ranking, const ProbePlan& plan) {
  std::vector<CentroidSet::Ranked> wanted, found;
  std::size_t right = 0, all = 0;
  const auto by_index = [](const auto& a, const auto& b) { return a.index < b.index; };
  for (std::size_t q = 0; q < kQueries; ++q) {
    set.all.rank(set.query(q), set.tables[q], plan, wanted);
    ranking.rank(set.query(q), set.tables[q], plan, found);
    std::sort(found.begin(), found.end(), by_index);
    for (const auto& one : wanted) {
      right += std::binary_search(found.begin(), found.end(), one, by_index);
    }
    all += wanted.size();
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

void run(benchmark::State& state, std::size_t count, bool by_levels, const ProbePlan& plan) {
  const Set& set = set_of(count);
  const CentroidRanking& ranking = by_levels ? set.levels : set.all;
  std::vector<CentroidSet::Ranked> found;
  std::size_t done = 0, visited = 0;
  for (auto _ : state) {
    const std::size_t q = done++ % kQueries;
    ranking.rank(set.query(q), set.tables[q], plan, found);
    visited += found.size();
  }
  state.counters["visited"] = static_cast<double>(visited) / static_cast<double>(done);
  state.counters["bytes"] =
      static_cast<double>(ranking.resident_bytes()) / static_cast<double>(count);
  if (by_levels) state.counters["recall"] = recall_of(set, ranking, plan);
}

void build(benchmark::State& state, std::size_t count, bool by_levels) {
  const Set& set = set_of(count);
  for (auto _ : state) {
    const CentroidRanking made(set.centroids, set.rotation, by_levels ? 1 : kNoLevels);
    benchmark::DoNotOptimize(made.resident_bytes());
  }
}

// A row at a time of all queries: what an import pays for each row.
void assign(benchmark::State& state, std::size_t count) {
  const Set& set = set_of(count);
  const auto pool = base::make_inline_pool();
  std::vector<std::uint32_t> nearest(kQueries);
  for (auto _ : state) {
    set.centroids.assign({set.queries.data(), kQueries, kDim}, nearest, {}, *pool);
  }
  state.counters["row"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kQueries),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

const bool kRegistered = [] {
  constexpr float kNoRatio = std::numeric_limits<float>::infinity();
  for (const std::size_t count : {5'000U, 20'000U, 100'000U, 400'000U}) {
    benchmark::RegisterBenchmark(("ranking/" + std::to_string(count) + "/assign").c_str(),
                                 [=](auto& state) { assign(state, count); })
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
    for (const bool by_levels : {false, true}) {
      const std::string name =
          "ranking/" + std::to_string(count) + (by_levels ? "/levels" : "/all");
      benchmark::RegisterBenchmark((name + "/build").c_str(),
                                   [=](auto& state) { build(state, count, by_levels); })
          ->Iterations(1)
          ->Unit(benchmark::kMillisecond);
      for (const ProbePlan plan : {ProbePlan{16, 16, kNoRatio}, ProbePlan{64, 64, kNoRatio},
                                   ProbePlan{256, 256, kNoRatio}, ProbePlan{256, 16, 1.2F}}) {
        const std::string title = name + "/nprobe=" + std::to_string(plan.nprobe_min) +
                                  (plan.nprobe_min < plan.nprobe ? "..256" : "");
        benchmark::RegisterBenchmark(title.c_str(),
                                     [=](auto& state) { run(state, count, by_levels, plan); })
            ->Iterations(3 * kQueries)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace varve::ann
