#include "cli/confirm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

namespace varve::cli {

Status confirm_removal(const Settings& settings, const std::string& index) {
  if (settings.yes) return {};
  if (::isatty(STDIN_FILENO) == 0) {
    return fail(ErrorKind::invalid, fmt::format("removing index '{}' needs --yes", index));
  }
  std::cerr << fmt::format("remove index '{}' and everything in it? [y/N] ", index);
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "yes") return {};
  return fail(ErrorKind::invalid, fmt::format("index '{}' was not removed", index));
}

}  // namespace varve::cli
