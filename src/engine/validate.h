// Checks of everything that users give, before anything is written. Errors are `invalid` and name
// the record and the field.
#pragma once

#include <span>

#include "base/result.h"
#include "varve/database.h"
#include "varve/types.h"

namespace varve::engine {

Status validate_config(const IndexConfig& config);
Status validate_key(std::string_view key);
Status validate_vector(std::span<const float> vector, const IndexConfig& config);
Status validate_metadata(std::string_view metadata);
Status validate_record(const VectorRecord& record, const IndexConfig& config);
// All but the filter, which search() parses.
Status validate_query(std::span<const float> query, const QueryOptions& options,
                      const IndexConfig& config);

}  // namespace varve::engine
