#include "cli/drift_bench/drift.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "cli/drift_bench/row_check.h"
#include "cli/drift_bench/upkeep.h"
#include "cli/scratch_folder.h"
#include "cli/settings.h"

namespace varve::cli::drift_bench {
namespace {

// The rows alive after `turn` turnovers.
class WindowRows final : public RowSource {
 public:
  WindowRows(const TurningRows& rows, std::uint32_t turn)
      : rows_(rows), next_(turn * rows.live()), end_(next_ + rows.live()) {}
  std::uint64_t size_hint() const override { return rows_.live(); }
  Result<bool> next(VectorRecord& record) override {
    if (next_ == end_) return false;
    record = record_of(rows_, next_++);
    return true;
  }

 private:
  const TurningRows& rows_;
  std::uint64_t next_;
  const std::uint64_t end_;
};

class Drift {
 public:
  Drift(const TurningRows& rows, const DriftOptions& options, const ProgressSink& progress)
      : rows_(rows), options_(options), progress_(progress), random_(options.seed) {}

  Status begin() {
    VARVE_TRY(live_, import_window(options_.folder + "/live", 0));
    VARVE_TRY(before_, live_.index->info());
    return {};
  }

  Result<Checkpoint> turn(std::uint32_t turn) {
    Checkpoint checkpoint;
    checkpoint.turnover = turn;
    VARVE_CHECK(turn_over(checkpoint));
    VARVE_TRY(const ScratchFolder folder, ScratchFolder::make(options_.folder));
    VARVE_TRY(const OpenIndex fresh, import_window(folder.path(), turn));
    VARVE_TRY(checkpoint.fresh, fresh.index->info());
    VARVE_CHECK(fresh.index->pin({}));
    VARVE_CHECK(live_.index->pin({}));
    VARVE_TRY(const auto fresh_snapshot, fresh.index->snapshot());
    VARVE_TRY(const auto snapshot, live_.index->snapshot());
    VARVE_CHECK(check_rows(*live_.index, *snapshot, rows_, turn, random_));
    VARVE_TRY(checkpoint.comparison, compare(*snapshot, *fresh_snapshot, rows_.queries(turn),
                                             rows_.dim(), options_.query, progress_));
    VARVE_CHECK(live_.index->unpin());
    return checkpoint;
  }

 private:
  // Pinned may be half of the memory: all that ever was in the index, should nothing leave it.
  DatabaseOptions database_options(const std::string& folder) const {
    const std::uint64_t rows = (options_.turnovers + std::uint64_t{1}) * rows_.live();
    DatabaseOptions options;
    options.cache.ram_bytes_max = 3 * rows * rows_.dim() * sizeof(float) + (std::uint64_t{1} << 30);
    options.spool_dir = folder;
    options.timeout = options_.timeout;
    options.fold_ops_min = options_.fold_ops_min;
    return options;
  }

  Result<OpenIndex> import_window(const std::string& folder, std::uint32_t turn) {
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);
    OpenIndex open;
    VARVE_TRY(open.database, Database::open(folder + "/store", database_options(folder)));
    VARVE_TRY(open.index, open.database->create_index({"bench", "drift"},
                                                      {rows_.dim(), options_.metric}, false));
    WindowRows source(rows_, turn);
    VARVE_CHECK(open.index->import(source, {.progress = progress_}));
    return open;
  }

  // As many rows as live come in and as many leave, oldest first.
  Status turn_over(Checkpoint& checkpoint) {
    const std::uint64_t live = rows_.live();
    const std::string phase = fmt::format("turnover {}", checkpoint.turnover);
    base::Duration took{0};
    for (std::uint64_t done = 0; done < live;) {
      const std::uint64_t count = std::min(options_.batch_rows, live - done);
      VARVE_TRY(const base::Duration wrote,
                write_batch((checkpoint.turnover - 1) * live + done, count));
      took += wrote;
      done += count;
      if (progress_) progress_({phase, done, live, "rows"});
    }
    VARVE_TRY(const base::Duration waited, settle());
    VARVE_TRY(checkpoint.drifted, live_.index->info());
    const auto inserts = static_cast<double>(live);
    const std::chrono::duration<double> seconds = took + waited;
    checkpoint.inserts_per_second = inserts / seconds.count();
    checkpoint.rows_rewritten_per_insert =
        static_cast<double>(checkpoint.drifted.rows_rewritten - before_.rows_rewritten) / inserts;
    checkpoint.rows_rebuilt_per_insert =
        static_cast<double>(checkpoint.drifted.rows_rebuilt - before_.rows_rebuilt) / inserts;
    before_ = checkpoint.drifted;
    return {};
  }

  // Replaces the `count` oldest rows, of which `oldest` is the first.
  Result<base::Duration> write_batch(std::uint64_t oldest, std::uint64_t count) {
    std::vector<VectorRecord> records;
    std::vector<std::string> keys;
    for (std::uint64_t i = oldest; i < oldest + count; ++i) {
      records.push_back(record_of(rows_, i + rows_.live()));
      keys.push_back(key_of(i));
    }
    const auto begin = base::system_clock().now();
    VARVE_CHECK(replace_rows(*live_.index, records, keys));
    return base::system_clock().now() - begin;
  }

  // Lets the background finish and folds what is left of the log. No compaction: that the index
  // stays good without one is what is measured. Returns how long there was something to do.
  Result<base::Duration> settle() {
    base::Duration busy{0};
    for (const bool fold : {false, true}) {
      const auto begin = base::system_clock().now();
      if (fold) VARVE_CHECK(live_.index->fold());
      VARVE_TRY(const Quiet quiet, wait_until_quiet(*live_.index, options_.fold_ops_min));
      busy += quiet.since - begin;
    }
    return busy;
  }

  const TurningRows& rows_;
  const DriftOptions& options_;
  const ProgressSink& progress_;
  base::Random random_;
  OpenIndex live_;
  IndexInfo before_;  // after the last turnover
};

}  // namespace

Result<std::vector<Checkpoint>> run_drift(const TurningRows& rows, const DriftOptions& options,
                                          const ProgressSink& progress) {
  Drift drift(rows, options, progress);
  VARVE_CHECK(drift.begin());
  std::vector<Checkpoint> checkpoints;
  for (std::uint32_t turn = 1; turn <= options.turnovers; ++turn) {
    VARVE_TRY(Checkpoint checkpoint, drift.turn(turn));
    checkpoints.push_back(std::move(checkpoint));
  }
  return checkpoints;
}

}  // namespace varve::cli::drift_bench
