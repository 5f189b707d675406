// What this process has used.
#pragma once

#include <cstdint>

namespace varve::cli {

// Largest resident set so far, mapped files included.
std::uint64_t peak_memory_bytes();

}  // namespace varve::cli
