#include "cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <limits>

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

CLI::Validator whole_number(std::uint64_t min, std::uint64_t max) {
  const auto check = [min, max](const std::string& text) -> std::string {
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, code] = std::from_chars(text.data(), end, number);
    if (code == std::errc() && rest == end && number >= min && number <= max) return {};
    const bool bounded = max < std::numeric_limits<std::uint64_t>::max();
    return fmt::format("'{}' is no whole number from {}{}", text, min,
                       bounded ? fmt::format(" to {}", max) : " up");
  };
  return {check, ""};
}

void refuse_negative_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_type_name() != "UINT") continue;
    option->check(whole_number(0, std::numeric_limits<std::uint64_t>::max()));
  }
  for (CLI::App* subcommand : app.get_subcommands({})) refuse_negative_numbers(*subcommand);
}

}  // namespace varve::cli
