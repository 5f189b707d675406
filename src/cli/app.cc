#include "cli/app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>

#include "cli/arguments.h"
#include "cli/duration.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/verbs/verbs.h"

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
};

void declare_global_flags(CLI::App& app, GlobalFlags& flags, Settings& settings) {
  app.add_option("--store", flags.store,
                 "Folder, file:///folder or memory:// (default $VARVE_STORE, else ./varve-data)");
  app.add_option("-o,--output", flags.output, "table, json or jsonl");
  app.add_option("--timeout", flags.timeout, "Longest wait for the store (default 60s)");
  app.add_option("--fold-ops", settings.fold_ops_min,
                 "Fold the log when so many operations wait (default 20000; 0: only in compact)");
  app.add_flag("-q,--quiet", settings.quiet, "Only data and errors");
  app.add_flag("--no-progress", flags.no_progress, "No progress on standard error");
  app.add_flag("--yes", settings.yes, "Do not ask before removing");
}

Status apply(const GlobalFlags& flags, Settings& settings) {
  if (flags.output == "json") {
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
  settings.progress = !flags.no_progress && !settings.quiet;
  const auto timeout = parse_duration(flags.timeout);
  if (!timeout) return tl::unexpected(timeout.error());
  settings.timeout = *timeout;
  return {};
}

// Usage errors come before the flags are known; the wish for JSON is looked up by hand.
OutputMode output_wished(int argc, const char* const* argv) {
  for (int i = 1; i + 1 < argc; ++i) {
    const std::string_view flag = argv[i], value = argv[i + 1];
    if ((flag == "-o" || flag == "--output") && value.starts_with("json")) return OutputMode::json;
  }
  return OutputMode::table;
}

int report_failure(const Settings& settings, const Error& error) {
  print_error(settings.output, error);
  return exit_code_of(error.kind);
}

int run_command(const Settings& settings, const Command& command) {
  const Result<int> exit_code = command();
  const Status written = finish_output();
  if (!exit_code) return report_failure(settings, exit_code.error());
  if (!written) {
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
  app.fallthrough();
  Settings settings;
  GlobalFlags flags;
  Command command;
  declare_global_flags(app, flags, settings);
  const VerbTable verbs{app, settings, command};
  for (const auto add :
       {add_index_verbs, add_import_verb, add_write_verbs, add_read_verbs, add_query_verb,
        add_recall_verb, add_text_verbs, add_bench_verbs, add_version_verb}) {
    add(verbs);
  }
  remove_guards(app);
  // CLI11 and the standard library report by exceptions; none leaves this function.
  try {
    app.parse(guarded_arguments(argc, argv));
    const Status applied = apply(flags, settings);
    return applied ? run_command(settings, command) : report_failure(settings, applied.error());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    print_error(
        output_wished(argc, argv),
        Error{ErrorKind::invalid, one_line(error.what(), kUsageCharacters), "varve --help"});
    return kExitUsage;
  } catch (const std::exception& error) {
    return report_failure(settings, Error{ErrorKind::internal, error.what(), {}});
  }
}

}  // namespace varve::cli
