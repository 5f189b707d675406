// The `varve` command: parses, runs one verb, turns its error into a line and an exit code.
#pragma once

namespace varve::cli {

// To be called once from main. Returns the exit code.
int run(int argc, const char* const* argv);

}  // namespace varve::cli
