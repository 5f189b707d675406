#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/bench_queries.h"
#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/query_file.h"
#include "cli/query_flags.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

struct Arguments {
  std::string name, queries, format;
  std::uint64_t limit = 0;
  QueryLoad load;
  QueryFlags flags;
};

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Result<int> bench_queries(const Settings& settings, const Arguments& arguments) {
  QueryLoad load = arguments.load;
  VARVE_TRY(load.options, arguments.flags.options());
  load.options.include_metadata = false;
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name, 1));
  VARVE_TRY(const auto queries, read_queries(arguments.queries, arguments.format, arguments.limit,
                                             open.index->config()));
  QueryLoadReport report;
  {
    ProgressPrinter progress("queries " + arguments.name, progress_style(settings.progress),
                             base::system_clock());
    VARVE_TRY(report, run_query_load(*open.index, queries, load, progress.sink()));
  }
  std::uint64_t reads = 0;
  for (const TierReads& of : report.tier_reads) reads += of.reads;
  Json tiers = Json::object();
  std::string lines;
  for (const TierReads& of : report.tier_reads) {
    tiers[of.tier] = Json{{"reads", of.reads}, {"hit_ratio", share(of.reads, reads)}};
    lines += fmt::format("{:<18}{:>12}  {:6.2f} %\n", of.tier, grouped(of.reads),
                         100 * share(of.reads, reads));
  }
  Json row{{"case", fmt::format("zipf {}", load.zipf)},
           {"queries", load.count},
           {"seed", load.seed},
           {"p50_us", report.p50_us},
           {"p99_us", report.p99_us},
           {"qps", report.qps},
           {"kept_answers", report.kept_answers},
           {"store_requests", report.store_requests},
           {"store_bytes", report.store_bytes},
           {"answers_hash", report.answers_hash}};
  const std::string fields = field_lines(row);
  row["tiers"] = std::move(tiers);
  const Json machine = machine_json();
  print_document(settings, Json{{"bench", "queries"}, {"machine", machine}, {"rows", {row}}},
                 fields + "\n" + lines);
  return kExitDone;
}

}  // namespace

void add_queries_bench(CLI::App& group, const VerbTable& verbs) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      group.add_subcommand("queries", "A skewed load on an index, and which tier answers it");
  command->add_option("INDEX", arguments->name, "bucket/index")->required();
  command->add_option("--queries", arguments->queries, "A file as for import")->required();
  command->add_option("--format", arguments->format, "As for import");
  command->add_option("--limit", arguments->limit, "At most so many of the file (default 0: all)");
  command->add_option("--count", arguments->load.count, "Queries to ask; default 10000");
  command->add_option("--zipf", arguments->load.zipf, "Skew of their popularity; default 1");
  command->add_option("--seed", arguments->load.seed, "Of the popularity; default 1");
  QueryFlags::declare(*command, arguments->flags);
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return bench_queries(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
