// Keeps clusters in shape: no stale rows, one part each, neither too large nor too small.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/core.h"
#include "varve/database.h"

namespace varve::engine {

Result<CompactReport> compact(Core& core, const CompactOptions& options);

// True if so much has changed since the centroids were trained that rewriting clusters one by one
// would not do: more than half of the rows stale or scattered, or their number doubled or halved.
Result<bool> needs_rebuild(Core& core);

// Trains new centroids for the live rows and writes everything anew. False: an import is running,
// whose rows are assigned to the clusters as they are; nothing was changed. REQUIRES:
// core.maintenance.
Result<bool> rebuild_held(Core& core, const ProgressSink& progress);

}  // namespace varve::engine
