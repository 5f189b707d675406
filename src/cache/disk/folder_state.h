// Whether what a folder holds may be believed: writes that a power failure took would bring back
// older values.
#pragma once

#include "base/result.h"
#include "cache/disk/files.h"

namespace varve::cache {

inline constexpr const char* kStateName = "STATE";

// True: it was closed, or the machine runs since it was opened. Otherwise, also where nothing can
// be told, some of its files may be older than others.
bool is_trusted(FileAccess& files, const std::string& folder);
// Lasts when it returns, so that nothing is written to a folder that counts as closed.
Status note_open(FileAccess& files, const std::string& folder);
// REQUIRES: all else in the folder lasts.
Status note_closed(FileAccess& files, const std::string& folder);

}  // namespace varve::cache
