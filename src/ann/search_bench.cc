// The searches side by side, one thread, one query at a time. Counter: recall@10 against the
// exact answer; compare times at equal recall. hnswlib runs without its own vector code and
// prefetches (hnsw.cc says why), so a native build of it is somewhat faster than here.
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <set>

#include "ann/real_data.h"
#include "ann/vector_search.h"

namespace varve::ann {
namespace {

constexpr std::uint32_t kNeighbors = 10;
constexpr std::size_t kRows = 20'000;
constexpr std::size_t kQueries = 500;

struct Set {
  Generated rows;
  Generated queries;
  std::map<std::string, std::unique_ptr<VectorSearch>> searches;
  std::vector<std::set<std::uint64_t>> truth;
};

std::optional<Generated> read_rows(const std::string& name) {
  if (name == "fashion_20k") {
    return read_idx("fashion-mnist-784-euclidean/train-images-idx3-ubyte.gz");
  }
  return generate({.rows = kRows + kQueries, .dim = 128, .clumps = 100, .latent = 16}, 20261120);
}

std::unique_ptr<Set> build(const std::string& name) {
  auto all = read_rows(name);
  if (!all) return nullptr;
  auto set = std::make_unique<Set>();
  const auto middle = all->values.begin() + static_cast<std::ptrdiff_t>(kRows * all->dim);
  set->rows = {all->dim, {all->values.begin(), middle}};
  set->queries = {all->dim, {middle, middle + static_cast<std::ptrdiff_t>(kQueries * all->dim)}};
  // In the narrowest type, as the engine keeps them; the graph holds floats.
  const auto type = kernels::narrowest_type(set->rows.values);
  std::vector<std::byte> bytes(set->rows.values.size() * kernels::element_bytes(type));
  kernels::narrow(set->rows.values, type, bytes.data());
  const kernels::Rows rows{bytes.data(), kRows, all->dim * kernels::element_bytes(type), all->dim,
                           type};
  const auto pool = base::make_thread_pool(1);
  set->searches["flat"] = make_flat(rows, Metric::euclidean);
  set->searches["hnsw"] = make_hnsw(rows, Metric::euclidean, {});
  set->searches["clustered"] = make_clustered(rows, Metric::euclidean, {}, *pool);
  set->searches["coded"] = make_coded(rows, Metric::euclidean, CodedOptions{}, *pool);
  for (std::size_t q = 0; q < kQueries; ++q) {
    const auto exact =
        set->searches["flat"]->search({set->queries.row(q), all->dim}, kNeighbors, {});
    set->truth.emplace_back();
    for (const auto& neighbor : *exact) set->truth.back().insert(neighbor.id);
  }
  return set;
}

const Set* set_of(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Set>> built;
  const auto [at, is_new] = built.try_emplace(name);
  if (is_new) at->second = build(name);
  return at->second.get();
}

void run(benchmark::State& state, const std::string& data, const std::string& search,
         double recall) {
  const Set* set = set_of(data);
  if (set == nullptr) {
    state.SkipWithError("set VARVE_DATA to the folder of the real vectors");
    return;
  }
  const VectorSearch& searched = *set->searches.at(search);
  std::size_t done = 0;
  double found = 0;
  for (auto _ : state) {
    const std::size_t q = done++ % kQueries;
    const auto answer =
        searched.search({set->queries.row(q), searched.dim()}, kNeighbors, {.recall = recall});
    for (const auto& neighbor : *answer)
      found += static_cast<double>(set->truth[q].count(neighbor.id));
  }
  state.counters["recall"] = found / static_cast<double>(done) / kNeighbors;
  state.counters["bytes_a_row"] = static_cast<double>(searched.resident_bytes()) / kRows;
}

const bool kRegistered = [] {
  for (const std::string data : {"generated_20k_128", "fashion_20k"}) {
    for (const std::string search : {"flat", "hnsw", "clustered", "coded"}) {
      for (const double recall : {0.95, 0.99, 0.999}) {
        if (search == "flat" && recall > 0.95) continue;
        const std::string title =
            "search/" + data + "/" + search + "/" + std::to_string(recall).substr(0, 5);
        benchmark::RegisterBenchmark(
            title.c_str(), [=](benchmark::State& state) { run(state, data, search, recall); })
            ->Iterations(2 * kQueries)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace varve::ann
