// A guard against one habit of CLI11: where several values are allowed it takes "[a,b]" for a list
// of two, but a key in brackets is one key.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace varve::cli {

// Arguments as App::parse takes them, last first, with a mark behind each that CLI11 would split.
std::vector<std::string> guarded_arguments(int argc, const char* const* argv);

// Makes every option of `app` and its subcommands take the mark off again.
void remove_guards(CLI::App& app);

}  // namespace varve::cli
