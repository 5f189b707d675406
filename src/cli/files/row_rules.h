// What every row of a vector file must obey, and how the messages name the place.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "varve/result.h"

namespace varve::cli {

struct RowRules {
  std::uint32_t dim = 0;     // what each row must have; 0: what the first row has
  bool reject_zero = false;  // cosine needs a direction
};

// Rows of binary files count from 0, as their keys do; lines of text files count from 1.
struct RowPlace {
  const std::string& file;
  const char* unit;  // "row" or "line"
  std::uint64_t number;
};

// "file 'x', row 3: <message>"
Error row_error(const RowPlace& place, std::string_view message);

// `invalid`: `dim` is 0, above kDimMax or not what the rules say.
Status check_dim(const RowPlace& place, std::uint64_t dim, const RowRules& rules);
// `invalid`: a value is NaN or infinite, or all are 0 where the rules forbid it.
Status check_values(const RowPlace& place, std::span<const float> values, const RowRules& rules);

}  // namespace varve::cli
