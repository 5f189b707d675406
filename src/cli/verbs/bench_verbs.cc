// `varve bench NAME`: measurements that a user can repeat. Each is one entry of the table below.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "cli/bench_kernels.h"
#include "cli/bench_trace.h"
#include "cli/exit_code.h"
#include "cli/files/trace_file.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

struct Bench {
  const char* name;
  const char* help;
  Result<int> (*run)(const Settings& settings);
};

// What the machine is, without which the other figures say little.
Result<int> describe_machine(const Settings& settings) {
  const Json json = machine_json();
  print_document(settings, json, field_lines(json));
  return kExitDone;
}

Result<int> bench_kernels(const Settings& settings) {
  const Json machine = machine_json();
  Json rows = Json::array();
  using Align = Table::Align;
  Table table({{"case", Align::left},
               {"p50 ns", Align::right},
               {"p99 ns", Align::right},
               {"vectors/s", Align::right},
               {"scalar p50 ns", Align::right},
               {"ratio", Align::right}});
  for (const KernelRow& row : measure_kernels()) {
    const double ratio = row.p50_ns > 0 ? row.peer_p50_ns / row.p50_ns : 0;
    rows.push_back(Json{{"case", row.name},
                        {"vectors", kKernelVectors},
                        {"p50_ns", row.p50_ns},
                        {"p99_ns", row.p99_ns},
                        {"vectors_per_second", row.vectors_per_second},
                        {"peer", "scalar"},
                        {"peer_p50_ns", row.peer_p50_ns},
                        {"ratio", ratio}});
    table.add({row.name, fmt::format("{:.0f}", row.p50_ns), fmt::format("{:.0f}", row.p99_ns),
               grouped(static_cast<std::uint64_t>(row.vectors_per_second)),
               fmt::format("{:.0f}", row.peer_p50_ns), fmt::format("{:.1f}", ratio)});
  }
  print_document(settings, Json{{"bench", "kernels"}, {"machine", machine}, {"rows", rows}},
                 table.text());
  note(settings, fmt::format("one call over {} vectors on {}, kernels {}, commit {}",
                             kKernelVectors, machine["cpu"].get<std::string>(),
                             machine["kernels"].get<std::string>(), built_commit()));
  return kExitDone;
}

struct TraceArguments {
  std::vector<std::string> files;
  std::string policies, format;
  std::string sizes = "0.1%,1%,10%";
  bool items = false;
};

Result<std::vector<TraceRow>> replay_file(const Settings& settings, const TraceArguments& arguments,
                                          const std::string& file) {
  VARVE_TRY(const TraceFormat format, trace_format(arguments.format));
  VARVE_TRY(const auto policies, parse_policies(arguments.policies));
  VARVE_TRY(const auto sizes, parse_trace_sizes(arguments.sizes));
  VARVE_TRY(const auto accesses, read_trace(file, format));
  const cache::Trace sized(accesses);
  const std::string name = file.substr(file.find_last_of('/') + 1);
  ProgressPrinter progress(name, progress_style(settings.progress), base::system_clock());
  return replay_all(name, arguments.items ? sized.in_items() : sized, policies, sizes,
                    progress.sink());
}

Result<int> bench_trace(const Settings& settings, const TraceArguments& arguments) {
  const Json machine = machine_json();
  Json rows = Json::array();
  using Align = Table::Align;
  Table table({{"trace", Align::left},
               {"size", Align::right},
               {"capacity", Align::right},
               {"policy", Align::left},
               {"miss ratio", Align::right}});
  for (const std::string& file : arguments.files) {
    VARVE_TRY(const auto measured, replay_file(settings, arguments, file));
    for (const TraceRow& row : measured) {
      rows.push_back(Json{{"trace", row.trace},
                          {"policy", row.policy},
                          {"size", row.size},
                          {"capacity", row.capacity},
                          {"requests", row.requests},
                          {"misses", row.misses},
                          {"miss_ratio", row.miss_ratio()}});
      table.add({row.trace, row.size, grouped(row.capacity), row.policy,
                 fmt::format("{:.4f}", row.miss_ratio())});
    }
  }
  print_document(settings, Json{{"bench", "trace"}, {"machine", machine}, {"rows", rows}},
                 table.text());
  return kExitDone;
}

void add_trace_bench(CLI::App& group, const VerbTable& verbs) {
  auto arguments = std::make_shared<TraceArguments>();
  CLI::App* command =
      group.add_subcommand("trace", "Miss ratios of eviction policies on recorded accesses");
  command->add_option("FILE", arguments->files, "Traces, compressed or not")->required();
  command->add_option(
      "--policy", arguments->policies,
      "s3-fifo, sieve, w-tinylfu, lru, lfu, fifo, each also with +forecast, or optimum; "
      "default: all without");
  command->add_option("--size", arguments->sizes,
                      "Capacities: % of all values, or items or bytes; default 0.1%,1%,10%");
  command->add_option("--format", arguments->format,
                      "arc, keys, sized, csv, int32, int64 or oracle; default: by name and bytes");
  command->add_flag("--items", arguments->items, "Count items, whatever sizes the trace has");
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return bench_trace(settings, *arguments);
    };
  });
}

constexpr std::array kBenches{
    Bench{"machine", "Show what measurements depend on", describe_machine},
    Bench{"kernels", "Distances from one vector to many, against scalar code", bench_kernels},
};

}  // namespace

void add_bench_verbs(const VerbTable& verbs) {
  CLI::App* group = verbs.app.add_subcommand("bench", "Measure this build on this machine");
  group->require_subcommand(1);
  add_ann_bench(*group, verbs);
  add_trace_bench(*group, verbs);
  add_codec_bench(*group, verbs);
  add_queries_bench(*group, verbs);
  add_batch_bench(*group, verbs);
  add_drift_bench(*group, verbs);
  add_cache_bench(*group, verbs);
  for (const Bench& bench : kBenches) {
    group->add_subcommand(bench.name, bench.help)->callback([verbs, run = bench.run] {
      verbs.chosen = [&settings = verbs.settings, run] { return run(settings); };
    });
  }
}

}  // namespace varve::cli
