// `varve bench cache`.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "cli/bench_cache.h"
#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/scratch_folder.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

struct CacheArguments {
  std::vector<std::string> cases;
  std::string data, folder, measured;
};

Json row_json(const CacheRow& row) {
  Json json{{"case", row.name}};
  if (row.p50_ns > 0) json["p50_ns"] = row.p50_ns;
  if (row.p99_ns > 0) json["p99_ns"] = row.p99_ns;
  if (!row.peer.empty()) {
    json["peer"] = row.peer;
    json["peer_p50_ns"] = row.peer_p50_ns;
    json["ratio"] = row.ratio();
  }
  for (const auto& [name, value] : row.more) json[name] = value;
  if (!row.about.empty()) json["about"] = row.about;
  return json;
}

// The figures that a row has instead of times.
std::string more_text(const CacheRow& row) {
  std::string text;
  for (const auto& [name, value] : row.more) {
    text += fmt::format("{}{} ", text.empty() ? "" : ", ", name);
    const bool is_count = value == static_cast<double>(static_cast<std::int64_t>(value));
    if (name.ends_with("bytes") && value >= 1024) {
      text += bytes_text(static_cast<std::uint64_t>(value));
    } else if (is_count) {
      text += fmt::format("{}", static_cast<std::int64_t>(value));
    } else {
      text += fmt::format("{:.4g}", value);
    }
  }
  return text;
}

std::string number_text(double value, const char* format) {
  return value > 0 ? fmt::format(fmt::runtime(format), value) : "";
}

Result<int> bench_cache(const Settings& settings, const CacheArguments& arguments) {
  if (!arguments.measured.empty()) return measured_process(arguments.measured, arguments.folder);
  std::string data = arguments.data;
  if (const char* known = std::getenv("VARVE_DATA"); data.empty() && known != nullptr) data = known;
  VARVE_TRY(const ScratchFolder scratch, ScratchFolder::make(arguments.folder));
  CacheBench bench;
  VARVE_TRY(bench.vectors, cache_vectors(data));
  bench.folder = scratch.path();
  std::error_code unknown;
  bench.program = std::filesystem::read_symlink("/proc/self/exe", unknown).string();
  std::vector<CacheRow> measured;
  {
    ProgressPrinter progress("cache", progress_style(settings.progress), base::system_clock());
    bench.progress = progress.sink();
    VARVE_TRY(measured, measure_cache(bench, arguments.cases));
  }
  Json rows = Json::array();
  using Align = Table::Align;
  Table table({{"case", Align::left},
               {"p50 ns", Align::right},
               {"p99 ns", Align::right},
               {"peer p50 ns", Align::right},
               {"ratio", Align::right},
               {"more", Align::left}});
  for (const CacheRow& row : measured) {
    rows.push_back(row_json(row));
    table.add({row.name, number_text(row.p50_ns, "{:.1f}"), number_text(row.p99_ns, "{:.1f}"),
               number_text(row.peer_p50_ns, "{:.1f}"), number_text(row.ratio(), "{:.2f}"),
               more_text(row)});
  }
  const Json machine = machine_json();
  print_document(settings, Json{{"bench", "cache"}, {"machine", machine}, {"rows", rows}},
                 table.text());
  note(settings,
       fmt::format(
           "times of one get over batches of 64 (l3_cold: of each), p50 of the quietest turn; "
           "real vectors: {}; on {}, commit {}",
           bench.vectors.name, machine["cpu"].get<std::string>(), built_commit()));
  return kExitDone;
}

}  // namespace

void add_cache_bench(CLI::App& group, const VerbTable& verbs) {
  auto arguments = std::make_shared<CacheArguments>();
  CLI::App* command =
      group.add_subcommand("cache", "Hits in each tier, memory and hit ratios of the cache");
  command->add_option("CASE", arguments->cases, "Which to run; none: all");
  command->add_option("--data", arguments->data,
                      "Vectors of 1536 dimensions: a file or a folder; default $VARVE_DATA, "
                      "else made ones");
  command->add_option("--folder", arguments->folder, "Where to write files; default: a new one");
  command->add_option("--measured-process", arguments->measured)->group("");
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return bench_cache(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
