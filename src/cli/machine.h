// What measurements depend on.
#pragma once

#include "cli/output.h"

namespace varve::cli {

// The commit that this build was made from, "+changes" behind it if files differed; "unknown"
// outside of a checkout. Written by tools/cmake/write_commit.cmake.
const char* built_commit();

// {"cpu","cores","memory_bytes","compiler","kernels","version","commit"}.
Json machine_json();

}  // namespace varve::cli
