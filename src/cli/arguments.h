// A guard against one habit of CLI11: where several values are allowed it takes "[a,b]" for a list
// of two, but a key in brackets is one key.
//
// And the rules for numbers that CLI11 does not know: it takes -1 for the largest unsigned one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace varve::cli {

// Arguments as App::parse takes them, last first, with a mark behind each that CLI11 would split.
std::vector<std::string> guarded_arguments(int argc, const char* const* argv);

// Makes every option of `app` and its subcommands take the mark off again.
void remove_guards(CLI::App& app);

// Takes decimal digits from `min` to `max` only.
CLI::Validator whole_number(std::uint64_t min, std::uint64_t max);

// Makes every unsigned option of `app` and its subcommands refuse what is not a whole number.
void refuse_negative_numbers(CLI::App& app);

}  // namespace varve::cli
