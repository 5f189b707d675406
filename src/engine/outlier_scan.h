// The rows of an index that are farthest from their neighbours.
#pragma once

#include "base/result.h"
#include "engine/env.h"
#include "engine/view.h"
#include "varve/database.h"

namespace varve::engine {

// As Snapshot::outliers: a nested loop with a cutoff (Bay and Schwabacher, KDD 2003). A row can
// only get nearer to its neighbours as more rows are looked at, so it is dropped once it is nearer
// than the worst of the outliers found so far. Rows that seem far out go first, which raises the
// cutoff early, and each looks at the clusters around it before others.
Result<OutlierReport> find_outliers(const Env& env, const View& view,
                                    const OutlierOptions& options);

}  // namespace varve::engine
