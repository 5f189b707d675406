// The vectors of a file, to ask with.
#pragma once

#include <string>
#include <vector>

#include "varve/result.h"
#include "varve/types.h"

namespace varve::cli {

// At most `limit` rows, or all with 0. `format` as for import, empty: by the name. `invalid`: the
// file holds none, or one that does not fit the index.
Result<std::vector<std::vector<float>>> read_queries(const std::string& path,
                                                     const std::string& format, std::uint64_t limit,
                                                     const IndexConfig& config);

}  // namespace varve::cli
