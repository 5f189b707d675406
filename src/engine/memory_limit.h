// How much memory there is for this process.
#pragma once

#include <cstdint>
#include <string>

namespace varve::engine {

// Of the machine, or less if a control group (version 1 or 2) that the process is in says so; 0:
// not known. `root` is the folder that holds proc and sys.
std::uint64_t memory_bytes(const std::string& root);

}  // namespace varve::engine
