// Keeps clusters in shape: no stale rows, one part each, neither too large nor too small.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/core.h"
#include "varve/database.h"

namespace varve::engine {

Result<CompactReport> compact(Core& core, const CompactOptions& options);

// What follows every fold: removes what earlier ones replaced ten minutes ago, and keeps clusters
// in shape.
Status after_fold(Core& core);

// In bounded work for each row that comes or goes: rewrites the clusters that are worn, fits the
// recall table anew once half of the rows have been written since, and trains new centroids only
// when the rows have doubled or halved, or too many would have to be held in memory. Nothing while
// an import runs, whose rows are assigned to the clusters as they are.
Status keep_in_shape(Core& core, const ProgressSink& progress);

// Trains new centroids for the live rows and writes everything anew. False: an import is running,
// whose rows are assigned to the clusters as they are; nothing was changed. REQUIRES:
// core.maintenance.
Result<bool> rebuild_held(Core& core, const ProgressSink& progress);

}  // namespace varve::engine
