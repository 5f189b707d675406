#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "cli/arguments.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/query_json.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

// Of metadata in a table.
constexpr std::size_t kMetadataCharacters = 100;

struct Arguments {
  std::string name;
  std::uint32_t count = OutlierOptions{}.count;
  std::uint32_t neighbors = OutlierOptions{}.neighbors;
  std::string filter;
};

std::string table_of(const OutlierReport& report) {
  Table table({{"#", Table::Align::right},
               {"key", Table::Align::left},
               {"distance", Table::Align::right},
               {"metadata", Table::Align::left}});
  for (std::size_t i = 0; i < report.outliers.size(); ++i) {
    const Hit& hit = report.outliers[i];
    table.add({std::to_string(i + 1), hit.key, fmt::format("{:.6g}", hit.distance),
               one_line(hit.metadata, kMetadataCharacters)});
  }
  return table.text();
}

void print_json(const OutlierReport& report, double seconds) {
  std::string outliers;
  for (const Hit& hit : report.outliers) {
    if (!outliers.empty()) outliers += ',';
    outliers += hit_json(hit);
  }
  const Json cost{{"seconds", seconds},
                  {"rows", report.rows},
                  {"dropped", report.dropped},
                  {"distances", report.distances},
                  {"pair_share", report.pair_share}};
  print_line(fmt::format(R"({{"outliers":[{}],"performance":{}}})", outliers, json_text(cost)));
}

Result<int> find_outliers(const Settings& settings, const Arguments& arguments) {
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  const base::Clock& clock = base::system_clock();
  const auto begin = clock.now();
  ProgressPrinter progress("outliers " + arguments.name, progress_style(settings.progress), clock);
  VARVE_TRY(const OutlierReport report, open.index->outliers({.count = arguments.count,
                                                              .neighbors = arguments.neighbors,
                                                              .filter = arguments.filter,
                                                              .include_metadata = true,
                                                              .progress = progress.sink()}));
  const double seconds = std::chrono::duration<double>(clock.now() - begin).count();
  if (settings.output == OutputMode::jsonl) {
    for (const Hit& hit : report.outliers) print_line(hit_json(hit));
    return kExitDone;
  }
  if (settings.output == OutputMode::json) {
    print_json(report, seconds);
    return kExitDone;
  }
  print_document(settings, {}, table_of(report));
  note(settings,
       fmt::format("{} outliers of {} vectors, exact, {:.2f} s, {:.3g} % of all pairs compared",
                   report.outliers.size(), grouped(report.rows), seconds, 100 * report.pair_share));
  return kExitDone;
}

}  // namespace

void add_outliers_verb(const VerbTable& verbs) {
  CLI::App* command = verbs.app.get_subcommand("index")->add_subcommand(
      "outliers", "Find the vectors that are farthest from their neighbours");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("INDEX", arguments->name, "bucket/index")->required();
  command->add_option("--count", arguments->count, "How many, 1 to 10000 (default 20)")
      ->check(whole_number(1, kOutliersMax));
  command
      ->add_option("--neighbors", arguments->neighbors,
                   "The how many-th neighbour tells the distance, 1 to 1000 (default 10)")
      ->check(whole_number(1, kOutlierNeighborsMax));
  command->add_option(
      "--filter", arguments->filter,
      R"(Only among vectors whose metadata matches: {"year":{"$gte":1990}}; docs/filters.md)");
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return find_outliers(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
