// The flags that say how sure an answer must be; `query`, `recall` and `search` share them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "varve/result.h"
#include "varve/types.h"

namespace CLI {
class App;
}

namespace varve::cli {

struct QueryFlags {
  std::uint32_t k = 10;
  std::optional<double> recall;
  std::optional<std::uint32_t> nprobe;
  bool exact = false;
  bool bounded = false;
  bool codes_only = false;
  std::string filter;

  // `flags` must live until the command line has been parsed.
  static void declare(CLI::App& command, QueryFlags& flags);
  // `invalid`: out of range, or more than one of --recall, --nprobe, --exact, --bounded.
  Result<QueryOptions> options() const;
};

}  // namespace varve::cli
