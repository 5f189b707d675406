#include "cli/files/row_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "varve/types.h"

namespace varve::cli {

Error row_error(const RowPlace& place, std::string_view message) {
  return Error{ErrorKind::invalid,
               fmt::format("file '{}', {} {}: {}", place.file, place.unit, place.number, message),
               {}};
}

Status check_dim(const RowPlace& place, std::uint64_t dim, const RowRules& rules) {
  if (dim == 0 || dim > kDimMax) {
    return tl::unexpected(
        row_error(place, fmt::format("dimension {} is not in 1 to {}", dim, kDimMax)));
  }
  if (rules.dim != 0 && dim != rules.dim) {
    return tl::unexpected(
        row_error(place, fmt::format("dimension is {}, expected {}", dim, rules.dim)));
  }
  return {};
}

Status check_values(const RowPlace& place, std::span<const float> values, const RowRules& rules) {
  bool all_zero = true;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      const char* what = std::isnan(values[i]) ? "NaN" : "infinite";
      return tl::unexpected(row_error(place, fmt::format("vector[{}] is {}", i, what)));
    }
    all_zero = all_zero && values[i] == 0;
  }
  if (all_zero && rules.reject_zero) {
    return tl::unexpected(
        row_error(place, "vector is all zero, which has no direction for the metric cosine"));
  }
  return {};
}

}  // namespace varve::cli
