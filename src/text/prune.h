// Takes files that are gone from disk out of an index.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "varve/database.h"

namespace varve::text {

struct Pruned {
  std::uint64_t files = 0;
  std::uint64_t chunks = 0;
};

// Removes the chunks whose file stood below `folder` and does not exist. A file that cannot be
// looked at counts as there, and so does each of `present`, which is sorted.
Result<Pruned> prune(Index& index, const std::string& folder,
                     const std::vector<std::string>& present);

}  // namespace varve::text
