#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "cli/version.h"

namespace varve::cli {
namespace {

Result<int> show_version(const Settings& settings) {
  const Json json{{"name", "varve"}, {"version", VARVE_VERSION}, {"compiler", __VERSION__}};
  print_document(settings, json, "varve " VARVE_VERSION "\n");
  return kExitDone;
}

}  // namespace

void add_version_verb(const VerbTable& verbs) {
  verbs.app.add_subcommand("version", "Show the version")->callback([verbs] {
    verbs.chosen = [&settings = verbs.settings] { return show_version(settings); };
  });
}

}  // namespace varve::cli
