#include "cli/arguments.h"

#include <CLI/CLI.hpp>

namespace varve::cli {
namespace {

constexpr char kMark = '\x1f';

// An argument that ends in the mark itself gets a second one, so that removing is exact.
bool needs_mark(const std::string& argument) {
  return argument.starts_with('[') && (argument.ends_with(']') || argument.ends_with(kMark));
}

std::string without_mark(std::string argument) {
  if (argument.starts_with('[') && argument.ends_with(kMark)) argument.pop_back();
  return argument;
}

}  // namespace

std::vector<std::string> guarded_arguments(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {
    arguments.emplace_back(argv[i]);
    if (needs_mark(arguments.back())) arguments.back() += kMark;
  }
  return arguments;
}

void remove_guards(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) option->transform(without_mark);
  for (CLI::App* subcommand : app.get_subcommands({})) remove_guards(*subcommand);
}

}  // namespace varve::cli
