// Answers a query from one view.
#pragma once

#include <span>

#include "base/result.h"
#include "engine/env.h"
#include "engine/view.h"
#include "varve/types.h"

namespace varve::engine {

// `invalid`: names the field. `not_found`: an object was collected; ask again on a newer view.
// `corrupt`: names the object. Never a partial answer.
Result<QueryResult> search(const Env& env, const View& view, std::span<const float> query,
                           const QueryOptions& options);

}  // namespace varve::engine
