// Keeps clusters in shape: no stale rows, one part each, neither too large nor too small.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/core.h"
#include "varve/database.h"

namespace varve::engine {

Result<CompactReport> compact(Core& core, const CompactOptions& options);

// What follows a fold in the background, and an import: in bounded work for each row that comes or
// goes: rewrites the clusters that are worn, fits the recall table anew once half of the rows have
// been written since, and trains new centroids only when the rows have doubled or halved. Nothing
// while an import runs, whose rows are assigned to the clusters as they are.
Status keep_in_shape(Core& core, const ProgressSink& progress);

// Trains new centroids for the live rows and writes everything anew. False: an import is running,
// whose rows are assigned to the clusters as they are; nothing was changed. REQUIRES:
// core.maintenance.
Result<bool> rebuild_held(Core& core, const ProgressSink& progress);

}  // namespace varve::engine
