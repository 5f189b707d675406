// What the fitted probe plans find and cost, on real vectors (VARVE_DATA) and generated ones, for
// queries like the rows and for queries unlike them. Counters: recall@10, share of the rows
// scanned, clusters visited. Time: ranking the centroids and choosing the clusters, one thread.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>

#include "ann/kmeans.h"
#include "ann/probe.h"
#include "ann/real_data.h"

namespace varve::ann {
namespace {

constexpr std::uint32_t kNeighbors = 10;
constexpr std::size_t kQueriesMax = 1000;
constexpr std::size_t kFitQueries = 400;

enum class Kind { like, noisy, mixed };
const char* const kKindNames[] = {"like", "noisy", "mixed"};

struct Set {
  bool cosine = false;
  Generated rows;
  Generated queries;  // not among the rows
};

// One row in 20 becomes a query.
Set hold_out(const Generated& all, bool cosine) {
  Set set{cosine, {all.dim, {}}, {all.dim, {}}};
  for (std::size_t i = 0; i < all.count(); ++i) {
    auto& to = i % 20 == 7 ? set.queries.values : set.rows.values;
    to.insert(to.end(), all.row(i), all.row(i) + all.dim);
  }
  return set;
}

std::optional<Set> read_set(const std::string& name) {
  if (name == "generated_100k_64") {
    return hold_out(generate({.rows = 100'000, .dim = 64, .clumps = 300, .latent = 12}, 20261120),
                    false);
  }
  if (name == "fashion") {
    auto rows = read_idx("fashion-mnist-784-euclidean/train-images-idx3-ubyte.gz");
    auto queries = read_idx("fashion-mnist-784-euclidean/t10k-images-idx3-ubyte.gz");
    if (!rows || !queries) return std::nullopt;
    return Set{false, std::move(*rows), std::move(*queries)};
  }
  if (name == "sift") {
    auto rows = read_vecs("sift-bigann10k/base.bvecs.gz", 1);
    auto queries = read_vecs("sift-bigann10k/query.bvecs.gz", 1);
    if (!rows || !queries) return std::nullopt;
    return Set{false, std::move(*rows), std::move(*queries)};
  }
  if (name == "treasury") {
    auto rows =
        read_vecs("treasury-openai3large-1536/poma_chunks__treasury_bulletin_1939_12.fvecs.gz", 4);
    auto more = read_vecs(
        "treasury-openai3large-1536/unstructured_elements__treasury_bulletin_1939_12.fvecs.gz", 4);
    auto queries = read_vecs("treasury-openai3large-1536/questions.fvecs.gz", 4);
    if (!rows || !more || !queries) return std::nullopt;
    rows->values.insert(rows->values.end(), more->values.begin(), more->values.end());
    return Set{true, std::move(*rows), std::move(*queries)};
  }
  auto all = name == "glove"
                 ? read_glove("glove-twitter-25d/glove.twitter.25d.12k.txt.gz")
                 : read_vecs("bible-bge-large-1024/bible.bge-large-en-v1.5.1024.fvecs.gz", 4);
  if (!all) return std::nullopt;
  normalize(*all);
  return hold_out(*all, true);
}

struct Model {
  Set set;
  CentroidSet centroids;
  std::vector<std::uint32_t> cluster_of;
  std::vector<std::uint32_t> cluster_rows;
  std::vector<format::ProbePoint> table;
  std::map<Kind, std::vector<HeldOut>> queries;
};

std::vector<HeldOut> with_neighbors(const Model& model, std::vector<float> values,
                                    std::vector<std::uint64_t> self, std::uint32_t k,
                                    base::Pool& pool) {
  const Generated& rows = model.set.rows;
  TrueNeighbors search(std::move(values), std::move(self), rows.dim, k);
  search.scan({rows.row(0), rows.count(), rows.dim}, 0, pool);
  std::vector<HeldOut> out;
  for (std::size_t i = 0; i < search.query_count(); ++i) {
    HeldOut one{{search.query(i).begin(), search.query(i).end()}, {}, !search.is_row(i)};
    for (const auto id : search.take(i)) one.neighbor_clusters.push_back(model.cluster_of[id]);
    out.push_back(std::move(one));
  }
  return out;
}

Generated queries_of(const Model& model, Kind kind) {
  const Generated& from = model.set.queries;
  Generated made{from.dim, {}};
  base::Random random(5);
  std::vector<CentroidSet::Ranked> ranked;
  for (std::size_t i = 0; i < std::min(kQueriesMax, from.count()); ++i) {
    const std::size_t at = i * from.count() / std::min(kQueriesMax, from.count());
    model.centroids.rank(from.row(at), 1, ranked);
    const float noise = std::sqrt(ranked[0].distance / static_cast<float>(from.dim));
    const float* other = from.row(random.below(from.count()));
    for (std::uint32_t j = 0; j < from.dim; ++j) {
      const float x = from.row(at)[j];
      made.values.push_back(kind == Kind::like    ? x
                            : kind == Kind::noisy ? x + noise * normal(random)
                                                  : (x + other[j]) / 2);
    }
  }
  if (model.set.cosine) normalize(made);
  return made;
}

std::unique_ptr<Model> build(const std::string& name) {
  auto set = read_set(name);
  if (!set) return nullptr;
  const auto pool = base::make_thread_pool(1);
  auto model = std::make_unique<Model>();
  model->set = std::move(*set);
  const Generated& rows = model->set.rows;
  const std::size_t count = rows.count();
  // Sets that are small enough for a scan are clustered all the same, to see more kinds of vectors.
  const auto clusters = static_cast<std::uint32_t>(2 * std::sqrt(static_cast<double>(count)));
  const std::size_t step = std::max<std::size_t>(1, count / (std::size_t{clusters} * 64));
  model->centroids = CentroidSet(kmeans({rows.row(0), (count + step - 1) / step, rows.dim * step},
                                        rows.dim, {.clusters = clusters}, *pool),
                                 rows.dim);
  model->cluster_of.resize(count);
  model->centroids.assign({rows.row(0), count, rows.dim}, model->cluster_of, {}, *pool);
  model->cluster_rows.resize(model->centroids.size());
  for (const auto c : model->cluster_of) ++model->cluster_rows[c];
  std::vector<float> values;
  std::vector<std::uint64_t> self;
  for (std::size_t i = 0; i < kFitQueries; ++i) {
    const std::size_t at = i * count / kFitQueries;
    values.insert(values.end(), rows.row(at), rows.row(at) + rows.dim);
    self.push_back(at);
  }
  const Metric metric = model->set.cosine ? Metric::cosine : Metric::euclidean;
  add_mixed_queries(rows.dim, metric, values, self);
  const auto held_out = with_neighbors(*model, std::move(values), std::move(self), 100, *pool);
  model->table = fit_probes(model->centroids, model->cluster_rows, held_out, *pool);
  for (const Kind kind : {Kind::like, Kind::noisy, Kind::mixed}) {
    auto made = queries_of(*model, kind);
    std::vector<std::uint64_t> none(made.count(), TrueNeighbors::kNoSelf);
    model->queries[kind] =
        with_neighbors(*model, std::move(made.values), std::move(none), kNeighbors, *pool);
  }
  return model;
}

const Model* model_of(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Model>> built;
  const auto [at, is_new] = built.try_emplace(name);
  if (is_new) at->second = build(name);
  return at->second.get();
}

void run(benchmark::State& state, const std::string& name, Kind kind, double recall) {
  const Model* model = model_of(name);
  if (model == nullptr) {
    state.SkipWithError("set VARVE_DATA to the folder of the real vectors");
    return;
  }
  const auto& queries = model->queries.at(kind);
  const auto clusters = static_cast<std::uint32_t>(model->centroids.size());
  const ProbePlan plan = choose_probes(model->table, recall, kNeighbors, clusters);
  double found = 0, probes = 0, rows = 0;
  std::size_t done = 0;
  std::vector<CentroidSet::Ranked> ranked;
  std::vector<std::uint32_t> visited(clusters, 0);
  for (auto _ : state) {
    const HeldOut& query = queries[done % queries.size()];
    model->centroids.rank(query.query.data(), plan.nprobe, ranked);
    ranked.resize(probes_of(plan, ranked));
    ++done;
    for (const auto& one : ranked) {
      rows += model->cluster_rows[one.index];
      visited[one.index] = static_cast<std::uint32_t>(done);
    }
    for (const auto c : query.neighbor_clusters) found += visited[c] == done;
    probes += static_cast<double>(ranked.size());
  }
  const auto count = static_cast<double>(done);
  state.counters["recall"] = found / count / kNeighbors;
  state.counters["rows"] = rows / count;
  state.counters["share"] = rows / count / static_cast<double>(model->set.rows.count());
  state.counters["probes"] = probes / count;
  state.counters["cap"] = plan.nprobe;
  state.counters["ratio"] = static_cast<double>(plan.ratio);
}

const bool kRegistered = [] {
  for (const std::string name :
       {"generated_100k_64", "fashion", "sift", "glove", "bible", "treasury"}) {
    for (const Kind kind : {Kind::like, Kind::noisy, Kind::mixed}) {
      for (const double recall : {0.9, 0.95, 0.99}) {
        const std::string title = "probes/" + name + "/" + kKindNames[static_cast<int>(kind)] +
                                  "/" + std::to_string(recall).substr(0, 4);
        benchmark::RegisterBenchmark(
            title.c_str(), [=](benchmark::State& state) { run(state, name, kind, recall); })
            ->Iterations(1000)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace varve::ann
