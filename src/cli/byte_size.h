// Amounts of bytes as a user writes them.
#pragma once

#include <cstdint>
#include <string>

#include "varve/result.h"

namespace varve::cli {

// "64MB", "1.5GiB", "500k", or a bare number of bytes; decimal and binary units, any case, 0 to
// 2^60. `invalid`: names `flag`.
Result<std::uint64_t> parse_bytes(const std::string& flag, const std::string& text);

}  // namespace varve::cli
