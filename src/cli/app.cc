#include "cli/app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <exception>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/byte_size.h"
#include "cli/duration.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/verbs/verbs.h"
#include "cli/version.h"
#include "kernels/target.h"

namespace varve::cli {
namespace {

constexpr const char* kStoreDefault = "./varve-data";
// A usage error may quote all arguments.
constexpr std::size_t kUsageCharacters = 300;

// Flags as given, before they are checked.
struct GlobalFlags {
  std::string store;
  std::string output = "table";
  std::string timeout = "60s";
  bool no_progress = false;
  std::string cache_dir, cache_ram, cache_compressed, cache_disk, cache_redis, cache_answers;
};

void declare_global_flags(CLI::App& app, GlobalFlags& flags, Settings& settings) {
  app.add_option("--store", flags.store,
                 "Folder, file:///folder or memory:// (default $VARVE_STORE, else ./varve-data)");
  app.add_option("-o,--output", flags.output, "table, json or jsonl");
  app.add_option("--timeout", flags.timeout, "Longest wait for the store (default 60s)");
  app.add_option("--fold-ops", settings.fold_ops_min,
                 "Fold the log when so many operations wait (default 20000; 0: only in compact)");
  app.add_option("--cache", flags.cache_dir,
                 "Folder that keeps what was read of the store (default $VARVE_CACHE, else none)");
  app.add_option(
      "--cache-ram", flags.cache_ram,
      "Memory for what was read, such as 256MB (default a quarter, at most 4GiB; 0: none)");
  app.add_option("--cache-compressed", flags.cache_compressed,
                 "Memory for what had to leave it, compressed (default and 0: none)");
  app.add_option("--cache-disk", flags.cache_disk, "Bytes of the folder (default and 0: no limit)");
  app.add_option("--cache-redis", flags.cache_redis,
                 "redis://host:port/db or unix:///path, shared by processes (default none)");
  app.add_option("--cache-answers", flags.cache_answers,
                 "Memory for answers to queries that are asked again (default and 0: none)");
  app.add_option("--cache-policy", settings.cache.policy,
                 "What stays in memory: an eviction policy");
  app.add_flag("-q,--quiet", settings.quiet, "Only data and errors");
  app.add_flag("--no-progress", flags.no_progress, "No progress on standard error");
  app.add_flag("--yes", settings.yes, "Do not ask before removing");
}

// The kernels themselves ignore a name that they do not know.
Status check_kernels_target() {
  const char* name = std::getenv("VARVE_KERNELS_TARGET");
  if (name == nullptr || *name == '\0') return {};
  const auto known = kernels::supported_targets();
  if (std::find(known.begin(), known.end(), name) != known.end()) return {};
  std::string hint = "known:";
  for (const std::string_view target : known) hint.append(" ").append(target);
  return fail(
      ErrorKind::invalid,
      fmt::format("VARVE_KERNELS_TARGET '{}' is not known on this machine", one_line(name, 80)),
      std::move(hint));
}

Status apply_cache(const GlobalFlags& flags, CacheOptions& cache) {
  const char* environment = std::getenv("VARVE_CACHE");
  cache.disk_dir = flags.cache_dir;
  if (cache.disk_dir.empty() && environment != nullptr) cache.disk_dir = environment;
  cache.redis_url = flags.cache_redis;
  if (!flags.cache_ram.empty()) {
    VARVE_TRY(const std::uint64_t bytes, parse_bytes("--cache-ram", flags.cache_ram));
    // The library takes 0 for its default; nothing fits into one byte.
    cache.ram_bytes_max = std::max<std::uint64_t>(1, bytes);
  }
  if (!flags.cache_compressed.empty()) {
    VARVE_TRY(cache.compressed_bytes_max,
              parse_bytes("--cache-compressed", flags.cache_compressed));
  }
  if (!flags.cache_disk.empty()) {
    VARVE_TRY(cache.disk_bytes_max, parse_bytes("--cache-disk", flags.cache_disk));
  }
  if (!flags.cache_answers.empty()) {
    VARVE_TRY(cache.answers_bytes_max, parse_bytes("--cache-answers", flags.cache_answers));
  }
  return {};
}

Status apply(const GlobalFlags& flags, bool takes_markdown, Settings& settings) {
  if (flags.output == "markdown" && takes_markdown) {
    settings.markdown = true;
  } else if (flags.output == "json") {
    settings.output = OutputMode::json;
  } else if (flags.output == "jsonl") {
    settings.output = OutputMode::jsonl;
  } else if (flags.output != "table") {
    return fail(ErrorKind::invalid, fmt::format("output '{}' is not known", flags.output),
                "-o table, json or jsonl");
  }
  const char* environment = std::getenv("VARVE_STORE");
  const bool from_environment = environment != nullptr && *environment != '\0';
  settings.store = !flags.store.empty() ? flags.store
                   : from_environment   ? environment
                                        : kStoreDefault;
  settings.store_given = !flags.store.empty();
  settings.progress = !flags.no_progress && !settings.quiet;
  const auto timeout = parse_duration(flags.timeout);
  if (!timeout) return tl::unexpected(timeout.error());
  settings.timeout = *timeout;
  VARVE_CHECK(apply_cache(flags, settings.cache));
  return check_kernels_target();
}

// Usage errors come before the flags are known; the wish for JSON is looked up by hand.
OutputMode output_wished(int argc, const char* const* argv) {
  constexpr std::string_view kLong = "--output", kShort = "-o";
  for (int i = 1; i < argc; ++i) {
    std::string_view value = argv[i];
    if (value == "--") break;
    if ((value == kLong || value == kShort) && i + 1 < argc) {
      value = argv[++i];
    } else if (value.starts_with("--output=")) {
      value.remove_prefix(kLong.size() + 1);
    } else if (value.starts_with(kShort)) {
      value.remove_prefix(kShort.size());
    } else {
      continue;
    }
    if (value.starts_with("json")) return OutputMode::json;
  }
  return OutputMode::table;
}

// What is wrong with a command line. CLI11 says only that a command is missing, also if there is
// one that it does not know.
Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* deepest = &app;
  std::string path;
  while (!deepest->get_subcommands().empty()) {
    deepest = deepest->get_subcommands().back();
    path += deepest->get_name() + " ";
  }
  const std::string hint = fmt::format("varve {}--help", path);
  const bool needs_command = !deepest->get_subcommands({}).empty();
  const std::vector<std::string> unknown = app.remaining(true);
  if (!needs_command || unknown.empty()) {
    return {ErrorKind::invalid, one_line(error.what(), kUsageCharacters), hint};
  }
  const char* what = unknown[0].starts_with('-') ? "option" : "command";
  const std::string name = (unknown[0].starts_with('-') ? "" : path) + unknown[0];
  return {ErrorKind::invalid, fmt::format("unknown {} '{}'", what, one_line(name, 80)), hint};
}

int report_failure(const Settings& settings, const Error& error) {
  print_error(settings.output, error);
  return exit_code_of(error.kind);
}

int run_command(const Settings& settings, const Command& command) {
  const Result<int> exit_code = command();
  const Status written = finish_output();
  if (!exit_code) return report_failure(settings, exit_code.error());
  // After another failure it is no news that the rest was not written either.
  if (!written && *exit_code == kExitDone) {
    print_error(settings.output, written.error());
    return kExitFailed;
  }
  return *exit_code;
}

}  // namespace

int run(int argc, const char* const* argv) {
  install_signal_handlers();
  CLI::App app("Varve keeps vectors in cheap object storage and answers from the part that is hot.",
               "varve");
  app.require_subcommand(1);
  app.set_version_flag("--version", "varve " VARVE_VERSION, "Show the version");
  app.fallthrough();
  Settings settings;
  GlobalFlags flags;
  Command command;
  bool takes_markdown = false;
  declare_global_flags(app, flags, settings);
  const VerbTable verbs{app, settings, command, takes_markdown};
  for (const auto add : {add_index_verbs, add_outliers_verb, add_import_verb, add_write_verbs,
                         add_read_verbs, add_query_verb, add_recall_verb, add_text_verbs,
                         add_cache_verbs, add_demo_verb, add_bench_verbs, add_version_verb}) {
    add(verbs);
  }
  refuse_negative_numbers(app);
  remove_guards(app);
  // CLI11 and the standard library report by exceptions; none leaves this function.
  try {
    app.parse(guarded_arguments(argc, argv));
    const Status applied = apply(flags, takes_markdown, settings);
    return applied ? run_command(settings, command) : report_failure(settings, applied.error());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    print_error(output_wished(argc, argv), usage_error(app, error));
    return kExitUsage;
  } catch (const std::exception& error) {
    return report_failure(settings, Error{ErrorKind::internal, error.what(), {}});
  }
}

}  // namespace varve::cli
