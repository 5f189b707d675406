#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "base/result.h"
#include "cli/bench_batch.h"
#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "cli/query_file.h"
#include "cli/query_flags.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

struct Arguments {
  std::string name, queries, format;
  std::uint64_t limit = 1000;
  unsigned rounds = 5;
  unsigned threads = 0;
  QueryFlags flags;
};

struct Row {
  const char* name;
  unsigned threads;
  double qps;
  std::uint64_t different = 0;
};

// Adds the rows of one database, whose library has `threads` threads.
Status measure(const Settings& settings, const Arguments& arguments, unsigned threads,
               std::vector<Row>& rows) {
  VARVE_TRY(QueryOptions options, arguments.flags.options());
  options.include_metadata = false;
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name, threads));
  VARVE_TRY(const auto queries, read_queries(arguments.queries, arguments.format, arguments.limit,
                                             open.index->config()));
  std::vector<float> vectors;
  for (const auto& query : queries) vectors.insert(vectors.end(), query.begin(), query.end());
  VARVE_CHECK(open.index->pin({.codes_only = options.codes_only}));
  VARVE_TRY(const auto snapshot, open.index->snapshot());
  const std::uint32_t dim = open.index->config().dim;
  VARVE_TRY(const double single,
            single_qps(*snapshot, vectors, dim, options, threads, arguments.rounds));
  rows.push_back({"single", threads, single});
  VARVE_TRY(const BatchRun batch, batch_qps(*snapshot, vectors, dim, options, arguments.rounds));
  rows.push_back({"batch", threads, batch.qps, batch.different});
  return {};
}

Result<int> bench_batch(const Settings& settings, const Arguments& arguments) {
  const unsigned threads =
      arguments.threads > 0 ? arguments.threads : std::max(1U, std::thread::hardware_concurrency());
  std::vector<Row> measured;
  VARVE_CHECK(measure(settings, arguments, 1, measured));
  if (threads > 1) VARVE_CHECK(measure(settings, arguments, threads, measured));
  Json rows = Json::array();
  using Align = Table::Align;
  Table table({{"case", Align::left},
               {"threads", Align::right},
               {"queries/s", Align::right},
               {"of one by one", Align::right},
               {"different answers", Align::right}});
  for (const Row& row : measured) {
    const double ratio = row.qps / measured[0].qps;
    rows.push_back(Json{{"case", row.name},
                        {"threads", row.threads},
                        {"qps", row.qps},
                        {"ratio", ratio},
                        {"different", row.different}});
    table.add({row.name, std::to_string(row.threads), fmt::format("{:.0f}", row.qps),
               fmt::format("{:.2f}", ratio), std::to_string(row.different)});
  }
  print_document(settings, Json{{"bench", "batch"}, {"machine", machine_json()}, {"rows", rows}},
                 table.text());
  return kExitDone;
}

}  // namespace

void add_batch_bench(CLI::App& group, const VerbTable& verbs) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = group.add_subcommand(
      "batch", "Queries of a pinned index one at a time, by several threads, and as one batch");
  command->add_option("INDEX", arguments->name, "bucket/index")->required();
  command->add_option("--queries", arguments->queries, "A file as for import")->required();
  command->add_option("--format", arguments->format, "As for import");
  command->add_option("--limit", arguments->limit,
                      "At most so many of the file (default 1000, 0: all)");
  command->add_option("--rounds", arguments->rounds, "Passes; the best counts (default 5)")
      ->check(CLI::Range(1, 1000));
  command->add_option("--threads", arguments->threads, "Beside one (default: one for each core)")
      ->check(CLI::Range(1, 1024));
  QueryFlags::declare(*command, arguments->flags);
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return bench_batch(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
