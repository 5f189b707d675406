// Moves the tail of the log into clusters.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/core.h"

namespace varve::engine {

// Operations that were folded; 0 if the tail was empty or an import holds the fold pointer. Writes
// one new part for each cluster that gets rows and marks replaced and deleted rows stale: the cost
// follows the tail, not the index. `conflict`: another writer took the index over meanwhile;
// nothing was lost.
Result<std::uint64_t> fold(Core& core);

// The same for a caller that holds core.maintenance.
Result<std::uint64_t> fold_held(Core& core);

// For an import that is listed and has reserved the slot before `end`: folds what is older, and
// moves the fold pointer to `end`. Whatever the tail holds then is newer than the imported rows.
// REQUIRES: core.maintenance.
Status fold_for_import(Core& core, std::uint64_t import_job, format::LogPosition end);

}  // namespace varve::engine
