// Coded search against hnswlib as its users build it, on all rows of a set with its own queries,
// one thread. An iteration asks all queries once; run in turns, and compare the least times at
// equal recall:
//
//   ann_bench --benchmark_filter=peers/ --benchmark_repetitions=7
//             --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "ann/hnswlib_peer.h"
#include "ann/real_data.h"
#include "ann/vector_search.h"

namespace varve::ann {
namespace {

constexpr std::uint32_t kNeighbors = 10;
constexpr std::size_t kQueries = 2000;

struct Set {
  Generated rows, queries;
  std::vector<std::byte> bytes;  // the rows in their narrowest type
  kernels::Rows narrow;
  std::vector<std::set<std::uint64_t>> truth;
};

void find_truth(Set& set) {
  const auto flat = make_flat(set.narrow, Metric::euclidean);
  for (std::size_t q = 0; q < set.queries.count(); ++q) {
    const auto exact = flat->search({set.queries.row(q), set.queries.dim}, kNeighbors, {});
    set.truth.emplace_back();
    for (const auto& neighbor : *exact) set.truth.back().insert(neighbor.id);
  }
}

std::unique_ptr<Set> read_fashion() {
  auto rows = read_idx("fashion-mnist-784-euclidean/train-images-idx3-ubyte.gz");
  auto queries = read_idx("fashion-mnist-784-euclidean/t10k-images-idx3-ubyte.gz");
  if (!rows || !queries) return nullptr;
  auto set = std::make_unique<Set>();
  set->rows = std::move(*rows);
  set->queries = std::move(*queries);
  set->queries.values.resize(kQueries * set->queries.dim);
  const std::uint32_t dim = set->rows.dim;
  const auto type = kernels::narrowest_type(set->rows.values);
  set->bytes.resize(set->rows.values.size() * kernels::element_bytes(type));
  kernels::narrow(set->rows.values, type, set->bytes.data());
  set->narrow = {set->bytes.data(), set->rows.count(), dim * kernels::element_bytes(type), dim,
                 type};
  find_truth(*set);
  return set;
}

const Set* fashion() {
  static const std::unique_ptr<Set> set = read_fashion();
  return set.get();
}

HnswlibPeer& peer() {
  static HnswlibPeer built(fashion()->rows.values.data(), fashion()->rows.count(),
                           fashion()->rows.dim);
  return built;
}

const VectorSearch& coded(std::uint32_t clusters) {
  static std::map<std::uint32_t, std::unique_ptr<VectorSearch>> built;
  auto& search = built[clusters];
  if (search == nullptr) {
    const auto pool = base::make_thread_pool(1);
    search = make_coded(fashion()->narrow, Metric::euclidean, {.clusters = {.clusters = clusters}},
                        *pool);
  }
  return *search;
}

// `ask` fills in the ids that it finds for query q.
void measure(benchmark::State& state,
             const std::function<void(std::size_t q, std::vector<std::uint64_t>& ids)>& ask) {
  std::vector<std::vector<std::uint64_t>> found(kQueries);
  for (auto _ : state) {
    for (std::size_t q = 0; q < kQueries; ++q) ask(q, found[q]);
  }
  std::size_t right = 0;
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (const std::uint64_t id : found[q]) right += fashion()->truth[q].count(id);
  }
  state.counters["recall"] = static_cast<double>(right) / kQueries / kNeighbors;
  state.counters["query"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kQueries),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

bool is_missing(benchmark::State& state) {
  if (fashion() != nullptr) return false;
  state.SkipWithError("set VARVE_DATA to the folder of the real vectors");
  return true;
}

void run_peer(benchmark::State& state, std::size_t ef) {
  if (is_missing(state)) return;
  peer().set_ef(ef);
  measure(state, [](std::size_t q, std::vector<std::uint64_t>& ids) {
    peer().search(fashion()->queries.row(q), kNeighbors, ids);
  });
}

void run_coded(benchmark::State& state, std::uint32_t clusters, const Effort& effort) {
  if (is_missing(state)) return;
  const VectorSearch& search = coded(clusters);
  measure(state, [&](std::size_t q, std::vector<std::uint64_t>& ids) {
    const auto answer =
        search.search({fashion()->queries.row(q), search.dim()}, kNeighbors, effort);
    ids.clear();
    for (const auto& neighbor : *answer) ids.push_back(neighbor.id);
  });
}

template <class Run>
void add(const std::string& title, Run run) {
  benchmark::RegisterBenchmark(("peers/fashion_60k/" + title).c_str(), run)
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond)
      ->ComputeStatistics("min", [](const std::vector<double>& values) {
        return *std::min_element(values.begin(), values.end());
      });
}

const bool kRegistered = [] {
  for (const std::size_t ef : {10U, 14U, 20U, 30U, 45U, 70U, 100U, 150U, 220U, 330U, 500U}) {
    add("hnswlib/ef=" + std::to_string(ef), [=](benchmark::State& s) { run_peer(s, ef); });
  }
  for (const std::uint32_t clusters : {256U, 512U, 0U}) {
    const std::string name = "coded_" + (clusters == 0 ? "default" : std::to_string(clusters));
    for (const double recall : {0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999}) {
      add(name + "/recall=" + std::to_string(recall).substr(0, 5),
          [=](benchmark::State& s) { run_coded(s, clusters, {.recall = recall}); });
    }
    for (const std::uint32_t nprobe : {4U, 6U, 9U, 13U, 20U, 30U, 45U, 70U}) {
      add(name + "/nprobe=" + std::to_string(nprobe),
          [=](benchmark::State& s) { run_coded(s, clusters, {.nprobe = nprobe}); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace varve::ann
