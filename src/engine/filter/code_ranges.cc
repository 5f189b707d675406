#include "engine/filter/code_ranges.h"

#include <limits>
#include <numeric>
#include <span>

namespace varve::engine {
namespace {

using format::AttributeColumn;

void add(std::vector<CodeRange>& ranges, std::uint32_t first, std::uint32_t end) {
  if (first >= end) return;
  if (!ranges.empty() && ranges.back().end == first) {
    ranges.back().end = end;
  } else {
    ranges.push_back({first, end});
  }
}

// The first number for which `is_before` is false. REQUIRES: it is true of a front part of them. A
// step is a move and no branch: where the numbers of many parts are searched, half of the branches
// would be guessed wrongly.
template <typename F>
const double* partition(std::span<const double> numbers, const F& is_before) {
  const double* first = numbers.data();
  std::size_t left = numbers.size();
  while (left > 1) {
    const std::size_t half = left / 2;
    first += is_before(first[half - 1]) ? half : 0;
    left -= half;
  }
  return first + (left == 1 && is_before(*first) ? 1 : 0);
}

// The first string of the column for which `is_before` is false. REQUIRES: it is true of a front
// part of them.
template <typename F>
std::uint32_t partition(const AttributeColumn& column, const F& is_before) {
  std::size_t first = 0;
  std::size_t last = column.string_ends.size();
  while (first < last) {
    const std::size_t middle = std::midpoint(first, last);
    if (is_before(column.string(middle))) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return column.code_of_string(first);
}

void add_values(const FilterTerm& term, const AttributeColumn& column,
                std::vector<CodeRange>& ranges) {
  if (term.hits_false) add(ranges, format::kCodeFalse, format::kCodeFalse + 1);
  if (term.hits_true) add(ranges, format::kCodeTrue, format::kCodeTrue + 1);
  const auto numbers = column.numbers;
  for (const double number : term.numbers) {
    const double* const at = partition(numbers, [&](double other) { return other < number; });
    if (at == numbers.data() + numbers.size() || *at != number) continue;
    const auto code = format::kCodeNumbers + static_cast<std::uint32_t>(at - numbers.data());
    add(ranges, code, code + 1);
  }
  for (const std::string& text : term.strings) {
    const auto code = partition(column, [&](std::string_view other) { return other < text; });
    if (code == column.code_count()) break;
    if (column.string(code - column.code_of_string(0)) == text) add(ranges, code, code + 1);
  }
}

void add_interval(const FilterTerm& term, const AttributeColumn& column,
                  std::vector<CodeRange>& ranges) {
  const auto numbers = column.numbers;
  // Of the first number that is not below `bound`, or not up to it.
  const auto code = [&](double bound, bool up_to) {
    const double* const at =
        up_to ? partition(numbers, [bound](double number) { return number <= bound; })
              : partition(numbers, [bound](double number) { return number < bound; });
    return format::kCodeNumbers + static_cast<std::uint32_t>(at - numbers.data());
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::uint32_t first =
      term.low == -kInfinity ? format::kCodeNumbers : code(term.low, term.low_open);
  const std::uint32_t end =
      term.high == kInfinity ? column.code_of_string(0) : code(term.high, !term.high_open);
  add(ranges, first, end);
}

void add_prefix(const FilterTerm& term, const AttributeColumn& column,
                std::vector<CodeRange>& ranges) {
  const std::string& prefix = term.strings.front();
  const auto first = partition(column, [&](std::string_view text) { return text < prefix; });
  const auto end = partition(
      column, [&](std::string_view text) { return text < prefix || text.starts_with(prefix); });
  add(ranges, first, end);
}

}  // namespace

void hit_codes(const FilterTerm& term, const AttributeColumn& column,
               std::vector<CodeRange>& ranges) {
  ranges.clear();
  switch (term.kind) {
    case TermKind::values:
      return add_values(term, column, ranges);
    case TermKind::interval:
      return add_interval(term, column, ranges);
    case TermKind::prefix:
      return add_prefix(term, column, ranges);
    case TermKind::exists:
      return;
  }
}

}  // namespace varve::engine
