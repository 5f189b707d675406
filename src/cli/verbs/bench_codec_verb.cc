// `varve bench codec`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "cli/bench_codec.h"
#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

struct CodecArguments {
  std::vector<std::string> files;
  std::uint64_t patterns = 0;
  std::uint64_t seed = 1;
};

std::string chosen_text(const CodecRow& row) {
  std::string text;
  for (const auto& [method, vectors] : row.chosen) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", vectors, method);
  }
  return text;
}

Json row_json(const CodecRow& row) {
  return Json{{"case", row.set},
              {"method", row.method},
              {"vectors", row.vectors},
              {"vector_bytes", row.vector_bytes},
              {"stored_bytes", row.stored_bytes},
              {"compression_ratio", row.compression()},
              {"stored_as", row.chosen},
              {"encode_ns", row.encode_ns},
              {"decode_ns", row.p50_ns},
              {"p50_ns", row.p50_ns},
              {"p99_ns", row.p99_ns},
              {"peer", kCodecPeer},
              {"peer_p50_ns", row.peer_p50_ns},
              {"ratio", row.p50_ns > 0 ? row.peer_p50_ns / row.p50_ns : 0}};
}

Result<std::vector<CodecSet>> sets_of(const std::vector<std::string>& files) {
  if (files.empty()) return synthetic_codec_sets();
  std::vector<CodecSet> sets;
  for (const std::string& file : files) {
    VARVE_TRY(CodecSet set, read_codec_set(file));
    sets.push_back(std::move(set));
  }
  return sets;
}

Result<int> bench_sets(const Settings& settings, const CodecArguments& arguments) {
  VARVE_TRY(const auto sets, sets_of(arguments.files));
  Json rows = Json::array();
  using Align = Table::Align;
  Table table({{"case", Align::left},
               {"bytes", Align::right},
               {"method", Align::left},
               {"raw/stored", Align::right},
               {"encode ns", Align::right},
               {"decode ns", Align::right},
               {"p99 ns", Align::right},
               {"vs zstd-3", Align::right},
               {"stored as", Align::left}});
  for (const CodecSet& set : sets) {
    VARVE_TRY(const auto measured, measure_codec(set));
    for (const CodecRow& row : measured) {
      rows.push_back(row_json(row));
      table.add({row.set, grouped(row.vector_bytes), row.method,
                 fmt::format("{:.3f}", row.compression()), fmt::format("{:.0f}", row.encode_ns),
                 fmt::format("{:.0f}", row.p50_ns), fmt::format("{:.0f}", row.p99_ns),
                 fmt::format("{:.1f}", row.peer_p50_ns / row.p50_ns), chosen_text(row)});
    }
  }
  const Json machine = machine_json();
  print_document(settings, Json{{"bench", "codec"}, {"machine", machine}, {"rows", rows}},
                 table.text());
  note(settings,
       fmt::format("the first {} vectors at most, each a record, all verified bit for bit; "
                   "on {}, commit {}",
                   kCodecVectors, machine["cpu"].get<std::string>(), built_commit()));
  return kExitDone;
}

Result<int> bench_patterns(const Settings& settings, const CodecArguments& arguments) {
  ProgressPrinter progress("codec", progress_style(settings.progress), base::system_clock());
  VARVE_TRY(const PatternReport report,
            check_patterns(arguments.patterns, arguments.seed, progress.sink()));
  Json fields{{"patterns", report.patterns},
              {"different", 0},
              {"seed", arguments.seed},
              {"blocks", report.blocks},
              {"records", report.records}};
  const std::string lines = field_lines(fields);
  Json rows = Json::array();
  std::string by_method;
  for (const auto& [method, records] : report.by_method) {
    rows.push_back(Json{{"method", method}, {"records", records}});
    by_method += fmt::format("  {} {}\n", grouped(records), method);
  }
  const Json machine = machine_json();
  Json json{{"bench", "codec-patterns"}, {"machine", machine}};
  json.update(fields);
  json["rows"] = rows;
  print_document(settings, json, lines + by_method);
  return kExitDone;
}

}  // namespace

void add_codec_bench(CLI::App& group, const VerbTable& verbs) {
  auto arguments = std::make_shared<CodecArguments>();
  CLI::App* command =
      group.add_subcommand("codec", "Sizes and times of lossless records of vectors");
  command->add_option("FILE", arguments->files, "Vector files; none: generated vectors");
  command->add_option("--patterns", arguments->patterns,
                      "Instead, take so many random 32-bit patterns there and back");
  command->add_option("--seed", arguments->seed, "Of the patterns; default 1");
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return arguments->patterns > 0 ? bench_patterns(settings, *arguments)
                                     : bench_sets(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
