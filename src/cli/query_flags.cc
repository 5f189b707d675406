#include "cli/query_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/arguments.h"

namespace varve::cli {

void QueryFlags::declare(CLI::App& command, QueryFlags& flags) {
  command.add_option("-k", flags.k, "How many neighbours, 1 to 10000 (default 10)")
      ->check(whole_number(1, kTopKMax));
  command.add_option("--recall", flags.recall,
                     "Share of the true k nearest to find (default 0.95)");
  command.add_option("--nprobe", flags.nprobe, "Visit exactly so many clusters instead");
  command.add_flag("--exact", flags.exact, "Scan every row");
  command.add_flag("--bounded", flags.bounded,
                   "As --exact, without clusters that cannot hold a nearer row");
  command.add_flag("--codes-only", flags.codes_only,
                   "Distances by codes alone; of an index with --code-bits above 1");
  command.add_option(
      "--filter", flags.filter,
      R"(Only rows whose metadata matches: {"year":{"$gte":1990}}; docs/filters.md)");
}

Result<QueryOptions> QueryFlags::options() const {
  if (k == 0 || k > kTopKMax) {
    return fail(ErrorKind::invalid, fmt::format("-k {} is not in 1 to {}", k, kTopKMax));
  }
  const int chosen = (recall ? 1 : 0) + (nprobe ? 1 : 0) + (exact ? 1 : 0) + (bounded ? 1 : 0);
  if (chosen > 1) {
    return fail(ErrorKind::invalid,
                "only one of --recall, --nprobe, --exact and --bounded makes sense");
  }
  if (recall && !(*recall > 0 && *recall <= 1)) {
    return fail(ErrorKind::invalid, fmt::format("--recall {} is not above 0 and up to 1", *recall));
  }
  if (codes_only && (exact || bounded)) {
    return fail(ErrorKind::invalid, "only one of --codes-only, --exact and --bounded makes sense");
  }
  if (nprobe && *nprobe == 0) return fail(ErrorKind::invalid, "--nprobe 0 visits nothing");
  QueryOptions options;
  options.k = k;
  options.recall = recall.value_or(options.recall);
  options.nprobe = nprobe;
  options.exact = exact;
  options.bounded = bounded;
  options.codes_only = codes_only;
  options.filter = filter;
  return options;
}

}  // namespace varve::cli
