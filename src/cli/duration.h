// Spans of time as a user writes them.
#pragma once

#include <chrono>
#include <string>

#include "varve/result.h"

namespace varve::cli {

// "500ms", "30s", "2m", "12h", "7d", or a bare number of seconds; above zero and up to 1000 days.
Result<std::chrono::milliseconds> parse_duration(const std::string& text);

}  // namespace varve::cli
