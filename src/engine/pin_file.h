// Which indexes are to stay in the folder of a disk tier, also for the processes to come.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"

namespace varve::engine {

// By index uuid as hex: until when, in milliseconds since 1970; 0: no end.
using Pins = std::map<std::string, std::int64_t>;

// A text file with a line for each: uuid, blank, time. A file that is missing or damaged holds
// none: pins are advice about a cache. Lines that are over by `now_ms` are left out.
Pins read_pins(const std::string& folder, std::int64_t now_ms);
// `unavailable`: it cannot be written.
Status write_pins(const std::string& folder, const Pins& pins);

}  // namespace varve::engine
