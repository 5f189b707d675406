#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>

#include "base/result.h"
#include "cli/ann_bench/engine.h"
#include "cli/ann_bench/pinned_thread.h"
#include "varve/database.h"

namespace varve::cli::ann_bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::uint32_t kProbesMax = 8192;
constexpr double kTargets[] = {0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999};

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// The rows of a set, keyed by their numbers.
class SetRows final : public RowSource {
 public:
  explicit SetRows(const AnnSet& set) : set_(set) {}
  std::uint64_t size_hint() const override { return set_.row_count(); }
  Result<bool> next(VectorRecord& record) override {
    if (next_ == set_.row_count()) return false;
    const auto row = set_.row(next_++);
    record.key.clear();
    record.vector.assign(row.begin(), row.end());
    return true;
  }

 private:
  const AnnSet& set_;
  std::size_t next_ = 0;
};

// About three steps for each doubling, up to all clusters.
std::vector<Json> probe_sweep(std::uint64_t clusters) {
  std::vector<Json> sweep;
  std::uint32_t last = 0;
  for (double step = 1; last < kProbesMax; step *= 1.26) {
    const auto nprobe = static_cast<std::uint32_t>(
        std::min<double>(std::round(step), static_cast<double>(clusters)));
    if (nprobe == last) {
      if (nprobe >= clusters) break;
      continue;
    }
    sweep.push_back(Json{{"nprobe", nprobe}});
    last = nprobe;
  }
  return sweep;
}

std::vector<Json> target_sweep() {
  std::vector<Json> sweep;
  for (const double target : kTargets) sweep.push_back(Json{{"recall", target}});
  return sweep;
}

class VarveEngine final : public Engine {
 public:
  VarveEngine(const AnnSet& set, std::uint32_t k, std::uint32_t build_threads, std::string folder)
      : set_(set), k_(k), build_threads_(build_threads), folder_(std::move(folder)) {}

  const std::string& name() const override { return name_; }

  Result<Built> build() override {
    Built built;
    built.threads = build_threads_;
    const auto start = SteadyClock::now();
    VARVE_CHECK(import_rows());
    built.seconds = seconds_since(start);
    const auto opening = SteadyClock::now();
    VARVE_CHECK(open_resident());
    const double open_seconds = seconds_since(opening);
    VARVE_TRY(const IndexInfo info, index_->info());
    const auto rows = static_cast<double>(set_.row_count());
    built.bytes_per_vector = static_cast<double>(snapshot_->resident_bytes()) / rows;
    built.parameters =
        Json{{"clusters", info.clusters},
             {"row_type", info.row_type},
             {"open_and_pin_seconds", open_seconds},
             {"stored_bytes_per_vector", static_cast<double>(info.stored_bytes) / rows}};
    built.about = "import into a durable store, opened again, pinned in memory, one snapshot";
    built.sweep = {probe_sweep(info.clusters), target_sweep()};
    return built;
  }

  Result<Pass> run(const Json& parameters, int core) override {
    QueryOptions options;
    options.k = k_;
    options.include_metadata = false;
    if (parameters.contains("nprobe")) options.nprobe = parameters["nprobe"].get<std::uint32_t>();
    if (parameters.contains("recall")) options.recall = parameters["recall"].get<double>();
    const PinnedThread pinned(core);
    const std::size_t queries = set_.query_count();
    for (std::size_t i = 0; i < std::min(queries, kWarmUpQueries); ++i) {
      VARVE_CHECK(snapshot_->query(set_.query(i), options));
    }
    Pass pass;
    pass.us.reserve(queries);
    pass.ids.assign(queries * k_, -1);
    for (std::size_t i = 0; i < queries; ++i) {
      const auto start = SteadyClock::now();
      const auto result = snapshot_->query(set_.query(i), options);
      pass.us.push_back(seconds_since(start) * 1e6);
      if (!result) return tl::unexpected(result.error());
      for (std::size_t j = 0; j < result->hits.size(); ++j) {
        pass.ids[i * k_ + j] = std::stoll(result->hits[j].key);
      }
    }
    return pass;
  }

 private:
  static IndexName index_name() { return {"bench", "ann"}; }

  DatabaseOptions options_with(std::uint32_t threads) const {
    DatabaseOptions options;
    options.compute_threads = threads;
    options.spool_dir = folder_;
    return options;
  }

  Status import_rows() {
    std::error_code ignored;
    std::filesystem::create_directories(folder_, ignored);
    VARVE_TRY(const auto database, Database::open(store(), options_with(build_threads_)));
    VARVE_TRY(const auto index,
              database->create_index(index_name(), {set_.dim, set_.metric}, false));
    SetRows rows(set_);
    VARVE_CHECK(index->import(rows, {}));
    return {};
  }

  // A pin may take half of the memory; the other half is for what queries need once.
  Status open_resident() {
    DatabaseOptions options = options_with(1);
    options.cache.ram_bytes_max = 6 * set_.rows.size() * sizeof(float) + (std::uint64_t{1} << 30);
    VARVE_TRY(database_, Database::open(store(), options));
    VARVE_TRY(index_, database_->open_index(index_name()));
    VARVE_CHECK(index_->pin({}));
    VARVE_TRY(snapshot_, index_->snapshot());
    return {};
  }

  std::string store() const { return folder_ + "/store"; }

  const std::string name_ = "varve";
  const AnnSet& set_;
  const std::uint32_t k_, build_threads_;
  const std::string folder_;
  std::unique_ptr<Database> database_;
  std::shared_ptr<Index> index_;
  std::shared_ptr<const Snapshot> snapshot_;
};

}  // namespace

std::unique_ptr<Engine> make_varve(const AnnSet& set, std::uint32_t k, std::uint32_t build_threads,
                                   std::string folder) {
  return std::make_unique<VarveEngine>(set, k, build_threads, std::move(folder));
}

}  // namespace varve::cli::ann_bench
