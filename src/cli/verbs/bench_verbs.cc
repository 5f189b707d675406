// `varve bench NAME`: measurements that a user can repeat. Each is one entry of the table below.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>

#include "cli/exit_code.h"
#include "cli/memory_use.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "cli/version.h"

namespace varve::cli {
namespace {

struct Bench {
  const char* name;
  const char* help;
  Result<int> (*run)(const Settings& settings);
};

// What the machine is, without which the other figures say little.
Result<int> describe_machine(const Settings& settings) {
  const Json json{{"version", VARVE_VERSION},
                  {"compiler", __VERSION__},
                  {"peak_memory_bytes", peak_memory_bytes()}};
  print_document(settings, json, field_lines(json));
  return kExitDone;
}

constexpr std::array kBenches{
    Bench{"machine", "Show what measurements depend on", describe_machine},
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
