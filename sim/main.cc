// sim [--seeds N] [--first S] [--twice] [--verbose] [--trace] [--stop]
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>

#include "sim/world.h"

namespace {

volatile std::sig_atomic_t seed_under_way = 0;

// A broken assertion ends the process: say which seed did it.
void on_abort(int) {
  std::fprintf(stderr,
               "violation: seed %ld: an assertion failed\n  replay: sim --seeds 1 --first %ld\n",
               static_cast<long>(seed_under_way), static_cast<long>(seed_under_way));
  _exit(1);
}

struct Options {
  std::uint64_t seeds = 100;
  std::uint64_t first = 1;
  bool twice = false;
  bool verbose = false;
  bool trace = false;
  bool stop = false;
};

// True if the seed passed.
bool run_one(std::uint64_t seed, const Options& options, varve::sim::Counts& sum) {
  seed_under_way = static_cast<std::sig_atomic_t>(seed);
  const auto result = varve::sim::run_seed(seed, options.trace);
  sum.add(result.counts);
  auto violations = result.violations;
  if (options.twice && varve::sim::run_seed(seed, false).trace_hash != result.trace_hash) {
    violations.push_back("I16: two runs of the seed differ");
  }
  const auto number = static_cast<unsigned long long>(seed);
  if (options.verbose) {
    std::printf("seed %llu: trace %016llx, %llu steps\n", number,
                static_cast<unsigned long long>(result.trace_hash),
                static_cast<unsigned long long>(result.steps));
  }
  for (const auto& violation : violations) {
    std::printf("violation: seed %llu: %s\n", number, violation.c_str());
  }
  if (!violations.empty()) std::printf("  replay: sim --seeds 1 --first %llu\n", number);
  std::fflush(stdout);
  return violations.empty();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Runs Varve in a deterministic simulation (docs/internals/simulation.md).");
  app.add_option("--seeds", options.seeds, "how many seeds");
  app.add_option("--first", options.first, "the first of them");
  app.add_flag("--twice", options.twice, "run each seed twice and compare the traces");
  app.add_flag("--verbose", options.verbose, "print the trace hash of each seed");
  app.add_flag("--trace", options.trace, "print every event to stderr");
  app.add_flag("--stop", options.stop, "stop at the first seed that fails");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGABRT, on_abort);
  varve::sim::Counts sum;
  std::uint64_t passed = 0, failed = 0;
  for (std::uint64_t i = 0; i < options.seeds; ++i) {
    const bool good = run_one(options.first + i, options, sum);
    passed += good;
    failed += !good;
    if (!good && options.stop) break;
  }
  for (const auto& [name, count] : sum.rows()) {
    std::printf("%-16s %llu\n", name.c_str(), static_cast<unsigned long long>(count));
    if (count > 0 || options.seeds < 20) continue;
    std::printf("violation: '%s' never happened, so this run shows nothing about it\n",
                name.c_str());
    ++failed;
  }
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
