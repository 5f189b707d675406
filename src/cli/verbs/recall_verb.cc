#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "base/result.h"
#include "cli/exit_code.h"
#include "cli/memory_use.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/query_file.h"
#include "cli/query_flags.h"
#include "cli/recall.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

// Enough for three digits of recall without minutes of exact search.
constexpr std::uint64_t kQueriesDefault = 1000;

struct Arguments {
  std::string name;
  std::string queries;
  std::string format;
  std::uint64_t limit = kQueriesDefault;
  bool pin = false;
  QueryFlags flags;
};

Result<int> run_recall(const Settings& settings, const Arguments& arguments) {
  VARVE_TRY(const QueryOptions options, arguments.flags.options());
  // One thread for everything, so that exact search is measured like the rest.
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name, 1));
  VARVE_TRY(const auto queries, read_queries(arguments.queries, arguments.format, arguments.limit,
                                             open.index->config()));
  if (arguments.pin) VARVE_CHECK(open.index->pin({.codes_only = options.codes_only}));
  VARVE_TRY(const auto snapshot, open.index->snapshot());
  RecallReport report;
  {
    ProgressPrinter progress("recall " + arguments.name, progress_style(settings.progress),
                             base::system_clock());
    VARVE_TRY(report, measure_recall(*snapshot, queries, options, progress.sink()));
  }
  const Json json{{"recall", report.recall},
                  {"qps", report.qps},
                  {"p50_us", report.p50_us},
                  {"p99_us", report.p99_us},
                  {"nprobe", report.nprobe},
                  {"rows_scanned", report.rows_scanned},
                  {"rows_compared", report.rows_compared},
                  {"vectors", report.vectors},
                  {"queries", report.queries},
                  {"k", options.k},
                  {"exact_qps", report.exact_qps},
                  {"exact_p50_us", report.exact_p50_us},
                  {"speedup", report.exact_qps > 0 ? report.qps / report.exact_qps : 0},
                  {"resident_bytes", report.resident_bytes},
                  {"peak_memory_bytes", peak_memory_bytes()}};
  print_document(settings, json, field_lines(json));
  return kExitDone;
}

}  // namespace

void add_recall_verb(const VerbTable& verbs) {
  CLI::App* command = verbs.app.add_subcommand(
      "recall", "Measure recall and speed against exact search, one query at a time");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("INDEX", arguments->name, "bucket/index")->required();
  command->add_option("--queries", arguments->queries, "A file as for import")->required();
  command->add_option("--format", arguments->format, "As for import");
  command->add_option("--limit", arguments->limit,
                      "At most so many queries (default 1000, 0: all)");
  command->add_flag("--pin", arguments->pin,
                    "Pin the index in memory first; with --codes-only its codes");
  QueryFlags::declare(*command, arguments->flags);
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return run_recall(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
