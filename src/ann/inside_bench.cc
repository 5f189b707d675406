// What is inside a cluster: rows, a graph over them, or rows with sign codes, for clusters of about
// 250 to 16,000 rows. One thread. Each case looks for the cheapest breadth (clusters visited, and
// `ef` of graphs) that reaches its recall@10, and times that. Minutes a set: graphs take long to
// build. Counters: queries a processor second, recall, clusters, ef, bytes a row, seconds to build.
//
//   ann_bench --benchmark_filter=inside/
#include <benchmark/benchmark.h>

#include <ctime>
#include <map>
#include <memory>
#include <set>

#include "ann/real_data.h"
#include "ann/vector_search.h"

namespace varve::ann {
namespace {

constexpr std::uint32_t kNeighbors = 10;
constexpr std::size_t kQueries = 200;

// Of this thread: other work on the machine does not count.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Set {
  std::uint32_t dim = 0;
  std::size_t count = 0;
  std::vector<float> queries;
  std::vector<std::byte> bytes;  // of rows in their narrowest type
  kernels::Rows rows;
  std::vector<std::set<std::uint64_t>> truth;

  explicit Set(Generated all) : dim(all.dim), count(all.count() - kQueries) {
    const auto middle = all.values.begin() + static_cast<std::ptrdiff_t>(count * dim);
    queries.assign(middle, all.values.end());
    const std::span values(all.values.data(), count * dim);
    const auto type = kernels::narrowest_type(values);
    bytes.resize(values.size() * kernels::element_bytes(type));
    kernels::narrow(values, type, bytes.data());
    rows = {bytes.data(), count, dim * kernels::element_bytes(type), dim, type};
    const auto flat = make_flat(rows, Metric::euclidean);
    for (std::size_t q = 0; q < kQueries; ++q) {
      truth.emplace_back();
      const auto found = flat->search(query(q), kNeighbors, {});
      for (const auto& one : *found) truth[q].insert(one.id);
    }
  }
  std::span<const float> query(std::size_t q) const { return {queries.data() + q * dim, dim}; }
};

const Set* set_of(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Set>> read;
  auto& set = read[name];
  if (set != nullptr) return set.get();
  if (name == "generated_200k") {
    set = std::make_unique<Set>(generate_overlapping(200'000 + kQueries, 128, 7));
  } else if (auto rows = read_idx("fashion-mnist-784-euclidean/train-images-idx3-ubyte.gz")) {
    set = std::make_unique<Set>(std::move(*rows));
  }
  return set.get();
}

struct Built {
  std::unique_ptr<VectorSearch> search;
  double seconds = 0;
};

// One at a time: graphs hold all rows as floats.
const Built& built(const Set& set, const std::string& kind, std::uint32_t clusters) {
  static const Set* of = nullptr;
  static std::string key;
  static Built held;
  const std::string wanted = kind + std::to_string(clusters);
  if (of == &set && key == wanted) return held;
  held.search.reset();
  const auto pool = base::make_inline_pool();
  const ClusteredOptions options{.clusters = clusters,
                                 .inside = kind == "graph" ? Inside::graph : Inside::rows,
                                 .graph = {.m = 16, .ef_construction = 100}};
  const double start = cpu_seconds();
  if (kind == "coded") {
    held.search = make_coded(set.rows, Metric::euclidean, {.clusters = options}, *pool);
  } else {
    held.search = make_clustered(set.rows, Metric::euclidean, options, *pool);
  }
  held.seconds = cpu_seconds() - start;
  of = &set;
  key = wanted;
  return held;
}

struct Measured {
  double recall = 0, seconds = 0;  // a query
  Effort effort;
};

Measured measure(const Set& set, const VectorSearch& search, const Effort& effort) {
  std::size_t right = 0;
  const double start = cpu_seconds();
  for (std::size_t q = 0; q < kQueries; ++q) {
    const auto found = search.search(set.query(q), kNeighbors, effort);
    for (const auto& one : *found) right += set.truth[q].count(one.id);
  }
  const double seconds = (cpu_seconds() - start) / kQueries;
  return {static_cast<double>(right) / (kQueries * kNeighbors), seconds, effort};
}

// The fewest clusters that reach the recall with this `ef`, by halving; recall 0 if all do not.
Measured cheapest(const Set& set, const VectorSearch& search, std::uint32_t clusters,
                  std::uint32_t ef, double recall) {
  std::uint32_t low = 1, high = clusters;
  Measured best;
  while (low <= high) {
    const std::uint32_t nprobe = (low + high) / 2;
    const Measured one = measure(set, search, {.nprobe = nprobe, .ef = ef});
    if (one.recall >= recall) {
      best = one;
      high = nprobe - 1;
    } else {
      low = nprobe + 1;
    }
  }
  return best;
}

void run(benchmark::State& state, const std::string& data, std::size_t cluster_rows,
         const std::string& kind, double recall) {
  const Set* set = set_of(data);
  if (set == nullptr) {
    state.SkipWithError("set VARVE_DATA to the folder of the real vectors");
    return;
  }
  const auto clusters = static_cast<std::uint32_t>(set->count / cluster_rows);
  const Built& made = built(*set, kind, clusters);
  Measured best;
  const std::vector<std::uint32_t> graph_breadths = {10, 20, 40, 80};
  for (const std::uint32_t ef : kind == "graph" ? graph_breadths : std::vector<std::uint32_t>{0}) {
    const Measured one = cheapest(*set, *made.search, clusters, ef, recall);
    if (one.recall > 0 && (best.recall == 0 || one.seconds < best.seconds)) best = one;
  }
  for (auto _ : state) best = measure(*set, *made.search, best.effort);
  state.counters["qps"] = 1 / best.seconds;
  state.counters["recall"] = best.recall;
  state.counters["nprobe"] = best.effort.nprobe;
  state.counters["ef"] = best.effort.ef;
  state.counters["bytes_a_row"] =
      static_cast<double>(made.search->resident_bytes()) / static_cast<double>(set->count);
  state.counters["build_s"] = made.seconds;
}

const bool kRegistered = [] {
  for (const std::string data : {"fashion_60k", "generated_200k"}) {
    for (const std::size_t rows : {250U, 1000U, 4000U, 16'000U}) {
      for (const std::string kind : {"rows", "coded", "graph"}) {
        for (const double recall : {0.95, 0.99}) {
          const std::string title = "inside/" + data + "/" + std::to_string(rows) + "/" + kind +
                                    "/" + std::to_string(recall).substr(0, 4);
          benchmark::RegisterBenchmark(
              title.c_str(), [=](benchmark::State& state) { run(state, data, rows, kind, recall); })
              ->Iterations(1)
              ->Unit(benchmark::kMillisecond);
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace varve::ann
