// Search by codes alone, no row read: recall@10, queries a second of one thread, and the bytes that
// must be resident as a part of those of the rows as float32. One iteration asks all queries.
//
//   bench/run generate_ann FOLDER --shape text        prints two paths
//   VARVE_ROWS=PATH VARVE_QUERIES=PATH ann_bench --benchmark_filter=codes/
//
// Both files are .npy of float32; the metric is cosine.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "ann/test_data.h"
#include "ann/vector_search.h"
#include "kernels/extra_codes.h"
#include "kernels/rotation.h"

namespace varve::ann {
namespace {

constexpr std::uint32_t kNeighbors = 10;
constexpr std::size_t kQueries = 1000;
// Fewer than cluster_count() gives: centroids, and blocks that are not full, are resident too. Of
// 300,000 rows they are 8 bytes a row here and 40 with the default.
constexpr std::uint32_t kClusters = 512;

// A .npy of format 1.0 and float32 in two dimensions; nothing else is looked for.
std::optional<Generated> read_npy(const char* variable) {
  const char* const path = std::getenv(variable);
  if (path == nullptr) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  char head[10];
  if (!file.read(head, sizeof(head))) return std::nullopt;
  std::string text(static_cast<unsigned char>(head[8]) + 256U * static_cast<unsigned char>(head[9]),
                   '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  const std::size_t shape = text.find("'shape': (");
  if (!file || text.find("'<f4'") == std::string::npos || shape == std::string::npos) {
    return std::nullopt;
  }
  char* rest = nullptr;
  const auto count = std::strtoull(text.c_str() + shape + 10, &rest, 10);
  const auto dim = static_cast<std::uint32_t>(std::strtoul(rest + 1, nullptr, 10));
  Generated read{dim, std::vector<float>(count * dim)};
  file.read(reinterpret_cast<char*>(read.values.data()),
            static_cast<std::streamsize>(read.values.size() * sizeof(float)));
  if (!file) return std::nullopt;
  return read;
}

struct Set {
  Generated rows, queries;
  std::vector<std::set<std::uint64_t>> truth;

  kernels::Rows view() const {
    return kernels::rows_of(rows.values.data(), rows.count(), rows.dim);
  }
};

const Set* the_set() {
  static const std::unique_ptr<Set> set = []() -> std::unique_ptr<Set> {
    auto rows = read_npy("VARVE_ROWS"), queries = read_npy("VARVE_QUERIES");
    if (!rows || !queries || rows->dim != queries->dim) return nullptr;
    auto made = std::make_unique<Set>();
    made->rows = std::move(*rows);
    made->queries = std::move(*queries);
    made->queries.values.resize(std::min(kQueries, made->queries.count()) * made->queries.dim);
    const auto flat = make_flat(made->view(), Metric::cosine);
    for (std::size_t q = 0; q < made->queries.count(); ++q) {
      const auto exact = flat->search({made->queries.row(q), made->rows.dim}, kNeighbors, {});
      made->truth.emplace_back();
      for (const auto& neighbor : *exact) made->truth.back().insert(neighbor.id);
    }
    return made;
  }();
  return set.get();
}

// One at a time is kept: each holds a copy of the rows.
const CodedSearch& search_of(std::uint32_t bits, std::uint32_t wider) {
  static std::pair<std::uint32_t, std::uint32_t> held;
  static std::unique_ptr<CodedSearch> search;
  if (search == nullptr || held != std::pair{bits, wider}) {
    const auto pool = base::make_thread_pool(2);
    search.reset();
    search = make_coded(the_set()->view(), Metric::cosine,
                        CodedOptions{.clusters = {.clusters = kClusters},
                                     .extra_words = kernels::extra_words(
                                         {kernels::rotated_dim(the_set()->rows.dim), bits, wider})},
                        *pool);
    held = {bits, wider};
  }
  return *search;
}

// `is_codes_only` false: the rows decide in the end, for comparison.
void run(benchmark::State& state, std::uint32_t bits, std::uint32_t wider, bool is_codes_only) {
  const Set* const set = the_set();
  if (set == nullptr) {
    state.SkipWithError("set VARVE_ROWS and VARVE_QUERIES to .npy files");
    return;
  }
  const CodedSearch& search = search_of(bits, wider);
  const auto nprobe = static_cast<std::uint32_t>(state.range(0));
  std::size_t right = 0, asked = 0;
  for (auto _ : state) {
    for (std::size_t q = 0; q < set->queries.count(); ++q, ++asked) {
      const auto found = search.search({set->queries.row(q), set->rows.dim}, kNeighbors,
                                       {.nprobe = nprobe, .codes_only = is_codes_only});
      for (const auto& neighbor : *found) right += set->truth[q].count(neighbor.id);
    }
  }
  const auto rows = static_cast<double>(set->rows.count());
  const auto bytes = static_cast<double>(is_codes_only ? search.resident_bytes_of_codes()
                                                       : search.resident_bytes());
  state.counters["recall"] = static_cast<double>(right) / static_cast<double>(asked) / kNeighbors;
  state.counters["qps"] =
      benchmark::Counter(static_cast<double>(asked), benchmark::Counter::kIsRate);
  state.counters["bytes_a_row"] = bytes / rows;
  state.counters["part_of_f32"] = bytes / rows / (4.0 * set->rows.dim);
}

const bool kRegistered = [] {
  const auto add = [](const std::string& name, std::uint32_t bits, std::uint32_t wider,
                      bool is_codes_only) {
    benchmark::RegisterBenchmark(
        ("codes/" + name).c_str(),
        [=](benchmark::State& state) { run(state, bits, wider, is_codes_only); })
        ->ArgName("nprobe")
        ->RangeMultiplier(2)
        ->Range(16, kClusters)
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  };
  add("1+2", 2, 0, true);
  add("1+2.5", 2, 384, true);
  add("1+2.6", 2, 448, true);
  add("1+3", 3, 0, true);
  add("1+7", 7, 0, true);
  add("rows", 7, 0, false);
  return true;
}();

}  // namespace
}  // namespace varve::ann
