// `varve bench drift`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "base/result.h"
#include "cli/arguments.h"
#include "cli/drift_bench/drift.h"
#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/scratch_folder.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

using namespace drift_bench;

constexpr std::uint64_t kRowsDefault = 50'000;

struct Arguments {
  std::string data, format, scratch;
  std::string metric = "euclidean";
  std::optional<std::uint64_t> rows;
  std::uint32_t dim = 128;
  std::uint64_t queries = 1000;
  std::uint32_t k = 10;
  double recall = 0.95;
  DriftOptions drift;
};

Result<std::unique_ptr<TurningRows>> make_rows(const Arguments& arguments) {
  const DriftOptions& drift = arguments.drift;
  if (!arguments.data.empty()) {
    return read_file_rows({.path = arguments.data,
                           .format = arguments.format,
                           .metric = drift.metric,
                           .turnovers = drift.turnovers,
                           .queries = arguments.queries,
                           .live_max = arguments.rows,
                           .seed = drift.seed});
  }
  return make_moving_clumps({.dim = arguments.dim,
                             .live = arguments.rows.value_or(kRowsDefault),
                             .turnovers = drift.turnovers,
                             .queries = arguments.queries,
                             .seed = drift.seed});
}

Json row_json(const Checkpoint& checkpoint) {
  const Answers &drifted = checkpoint.comparison.drifted, &fresh = checkpoint.comparison.fresh;
  return Json{{"turnover", checkpoint.turnover},
              {"recall", drifted.recall},
              {"fresh_recall", fresh.recall},
              {"recall_gap", fresh.recall - drifted.recall},
              {"qps", drifted.qps},
              {"fresh_qps", fresh.qps},
              {"ratio", checkpoint.comparison.ratio},
              {"nprobe", drifted.nprobe},
              {"fresh_nprobe", fresh.nprobe},
              {"rows_scanned", drifted.rows_scanned},
              {"fresh_rows_scanned", fresh.rows_scanned},
              {"clusters", checkpoint.drifted.clusters},
              {"fresh_clusters", checkpoint.fresh.clusters},
              {"parts", checkpoint.drifted.parts},
              {"stale_rows", checkpoint.drifted.stale_rows},
              {"cluster_rows_max", checkpoint.drifted.cluster_rows_max},
              {"fresh_cluster_rows_max", checkpoint.fresh.cluster_rows_max},
              {"cluster_rows_limit", checkpoint.drifted.cluster_rows_limit},
              {"rows_rewritten_per_insert", checkpoint.rows_rewritten_per_insert},
              {"rows_rebuilt_per_insert", checkpoint.rows_rebuilt_per_insert},
              {"inserts_per_second", checkpoint.inserts_per_second}};
}

std::string table_text(std::span<const Checkpoint> checkpoints) {
  std::vector<Table::Column> columns;
  for (const char* name : {"turnover", "recall", "fresh", "queries/s", "fresh", "ratio",
                           "rows scanned", "fresh", "clusters", "fresh", "largest", "fresh",
                           "rewritten/insert", "rebuilt/insert", "inserts/s"}) {
    columns.push_back({name, Table::Align::right});
  }
  Table table(columns);
  for (const Checkpoint& checkpoint : checkpoints) {
    const Answers &drifted = checkpoint.comparison.drifted, &fresh = checkpoint.comparison.fresh;
    table.add(
        {std::to_string(checkpoint.turnover), fmt::format("{:.4f}", drifted.recall),
         fmt::format("{:.4f}", fresh.recall), fmt::format("{:.0f}", drifted.qps),
         fmt::format("{:.0f}", fresh.qps), fmt::format("{:.2f}", checkpoint.comparison.ratio),
         fmt::format("{:.0f}", drifted.rows_scanned), fmt::format("{:.0f}", fresh.rows_scanned),
         std::to_string(checkpoint.drifted.clusters), std::to_string(checkpoint.fresh.clusters),
         std::to_string(checkpoint.drifted.cluster_rows_max),
         std::to_string(checkpoint.fresh.cluster_rows_max),
         fmt::format("{:.2f}", checkpoint.rows_rewritten_per_insert),
         fmt::format("{:.2f}", checkpoint.rows_rebuilt_per_insert),
         fmt::format("{:.0f}", checkpoint.inserts_per_second)});
  }
  return table.text();
}

Json set_json(const Arguments& arguments, const TurningRows& rows) {
  const std::string name = arguments.data.empty()
                               ? "generated"
                               : std::filesystem::path(arguments.data).filename().string();
  return Json{{"name", name},
              {"rows", rows.live()},
              {"dim", rows.dim()},
              {"metric", arguments.metric},
              {"queries", rows.queries(1).size() / rows.dim()},
              {"k", arguments.k},
              {"recall", arguments.recall},
              {"batch", arguments.drift.batch_rows},
              {"fold_ops", arguments.drift.fold_ops_min},
              {"seed", arguments.drift.seed}};
}

Status check_arguments(const Arguments& arguments) {
  if (arguments.metric != "euclidean" && arguments.metric != "cosine") {
    return fail(ErrorKind::invalid, fmt::format("metric '{}' is not known", arguments.metric),
                "--metric euclidean or cosine");
  }
  // As an index has it: nan is none either.
  if (arguments.recall > 0 && arguments.recall <= 1) return {};
  return fail(ErrorKind::invalid,
              fmt::format("--recall {} is not above 0 and up to 1", arguments.recall));
}

// `fold_ops`: of the settings, if they were given.
Result<int> bench_drift(const Settings& settings, Arguments arguments,
                        std::optional<std::uint64_t> fold_ops) {
  VARVE_CHECK(check_arguments(arguments));
  DriftOptions& drift = arguments.drift;
  if (arguments.metric == "cosine") drift.metric = Metric::cosine;
  drift.query.k = arguments.k;
  drift.query.recall = arguments.recall;
  drift.query.include_metadata = false;
  drift.timeout = settings.timeout;
  VARVE_TRY(const auto rows, make_rows(arguments));
  if (rows->live() < arguments.k) {
    return fail(ErrorKind::invalid,
                fmt::format("{} live rows are fewer than -k {}", rows->live(), arguments.k));
  }
  const std::uint64_t few = std::max<std::uint64_t>(1, rows->live() / 5);
  drift.fold_ops_min = fold_ops.value_or(std::min(DatabaseOptions().fold_ops_min, few));
  VARVE_TRY(const ScratchFolder scratch, ScratchFolder::make(arguments.scratch));
  drift.folder = scratch.path();
  std::vector<Checkpoint> checkpoints;
  {
    ProgressPrinter progress("drift", progress_style(settings.progress), base::system_clock());
    VARVE_TRY(checkpoints, run_drift(*rows, drift, progress.sink()));
  }
  Json lines = Json::array();
  for (const Checkpoint& checkpoint : checkpoints) lines.push_back(row_json(checkpoint));
  print_document(settings,
                 Json{{"bench", "drift"},
                      {"machine", machine_json()},
                      {"set", set_json(arguments, *rows)},
                      {"rows", lines}},
                 table_text(checkpoints));
  return kExitDone;
}

}  // namespace

void add_drift_bench(CLI::App& group, const VerbTable& verbs) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = group.add_subcommand(
      "drift", "An index whose rows are turned over and move, beside a fresh one of the same rows");
  command->add_option("--rows", arguments->rows, "That live at a time (default 50000)")
      ->check(whole_number(100, 100'000'000));
  command->add_option("--dim", arguments->dim, "Of generated rows (default 128)")
      ->check(whole_number(1, kDimMax));
  command
      ->add_option("--turnover", arguments->drift.turnovers,
                   "How often all rows are replaced, oldest first (default 5)")
      ->check(whole_number(1, 1000));
  command->add_option("--data", arguments->data,
                      "A file as for import, whose rows come in along the direction in which they "
                      "vary most, instead of generated rows");
  command->add_option("--format", arguments->format, "As for import");
  command->add_option("--metric", arguments->metric, "euclidean (default) or cosine");
  command->add_option("--recall", arguments->recall, "Share of the nearest to find (default 0.95)");
  command->add_option("-k", arguments->k, "How many neighbours (default 10)")
      ->check(whole_number(1, 1000));
  command->add_option("--queries", arguments->queries, "After each turnover (default 1000)")
      ->check(whole_number(1, 1'000'000));
  command->add_option("--batch", arguments->drift.batch_rows, "Rows of each put (default 1000)")
      ->check(whole_number(1, 1'000'000));
  command->add_option("--seed", arguments->drift.seed, "Of all that is drawn (default 1)");
  command->add_option("--scratch", arguments->scratch,
                      "Folder for the stores (default that for temporary files)");
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, &app = verbs.app, arguments] {
      const bool given = app.count("--fold-ops") > 0;
      return bench_drift(settings, *arguments,
                         given ? std::optional(settings.fold_ops_min) : std::nullopt);
    };
  });
}

}  // namespace varve::cli
