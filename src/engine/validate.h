// Checks of everything that users give, before anything is written. Errors are `invalid` and name
// the record and the field.
#pragma once

#include <span>

#include "base/result.h"
#include "format/manifest.h"
#include "varve/database.h"
#include "varve/types.h"

namespace varve::engine {

Status validate_config(const IndexConfig& config);
// Words of extra bits of a row that the configuration asks for. REQUIRES: it is valid.
std::uint32_t extra_words_of(const IndexConfig& config);
// What the configuration was that a manifest came from.
IndexConfig config_of(const format::Manifest& manifest);
Status validate_key(std::string_view key);
Status validate_vector(std::span<const float> vector, const IndexConfig& config);
Status validate_metadata(std::string_view metadata);
Status validate_record(const VectorRecord& record, const IndexConfig& config);
// All but the filter, which search() parses.
Status validate_query(std::span<const float> query, const QueryOptions& options,
                      const IndexConfig& config);
// All but the filter, which find_outliers() parses.
Status validate_outlier_options(const OutlierOptions& options);

}  // namespace varve::engine
