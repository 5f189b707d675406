// Answers a query from one view.
#pragma once

#include <span>

#include "base/result.h"
#include "engine/env.h"
#include "engine/prefetch.h"
#include "engine/view.h"
#include "varve/types.h"

namespace varve::engine {

// Fills `result`, whose memory is used again: on a resident view without a log behind the fold
// pointer nothing is allocated and no lock taken, once the memory of the thread is large enough.
// `invalid`: names the field. `not_found`: an object was collected; ask again on a newer view.
// `corrupt`: names the object. Never a partial answer: after an error `result` says nothing.
// `prefetch` (may be null) is told what was read.
Status search(const Env& env, const View& view, std::span<const float> query,
              const QueryOptions& options, QueryResult& result, Prefetch* prefetch);

}  // namespace varve::engine
