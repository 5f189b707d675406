// `varve bench NAME`: measurements that a user can repeat. Each is one entry of the table below.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>

#include "cli/bench_kernels.h"
#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/output.h"
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

constexpr std::array kBenches{
    Bench{"machine", "Show what measurements depend on", describe_machine},
    Bench{"kernels", "Distances from one vector to many, against scalar code", bench_kernels},
};

}  // namespace

void add_bench_verbs(const VerbTable& verbs) {
  CLI::App* group = verbs.app.add_subcommand("bench", "Measure this build on this machine");
  group->require_subcommand(1);
  for (const Bench& bench : kBenches) {
    group->add_subcommand(bench.name, bench.help)->callback([verbs, run = bench.run] {
      verbs.chosen = [&settings = verbs.settings, run] { return run(settings); };
    });
  }
}

}  // namespace varve::cli
