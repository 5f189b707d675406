// Rewrites the clusters that need it and leaves the others alone: splits large ones, dissolves
// small ones into their neighbours, joins parts, drops stale rows.
#pragma once

#include "base/result.h"
#include "engine/core.h"
#include "engine/jobs.h"
#include "engine/rewrite_plan.h"
#include "engine/view.h"
#include "varve/database.h"

namespace varve::engine {

// True if a rewrite of this extent would write any cluster.
bool rewrite_is_due(const Generation& generation, RewriteExtent extent);

// Beside what is bounded: a rewrite holds the rows of all clusters that it dissolves, and of one
// that it writes or splits.
std::uint64_t rewrite_bytes_held(const Generation& generation, RewriteExtent extent);

// Placement changes, the map key -> LSN does not. Fills the counts of `report`.
Result<JobCommit> prepare_rewrite(Core& core, const JobContext& job, const View& view,
                                  RewriteExtent extent, CompactReport& report);

}  // namespace varve::engine
