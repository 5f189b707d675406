// Bringing a whole index into the cache.
#pragma once

#include "base/result.h"
#include "engine/core.h"
#include "engine/view.h"
#include "varve/types.h"

namespace varve::engine {

// All sections of the view, some parts at a time; returns their bytes. With `pins`, they stay in
// memory until `until_ms` (since 1970; 0: no end); nothing stays pinned after an error.
Result<std::uint64_t> warm(const Core& core, const View& view, bool pins, std::int64_t until_ms,
                           const ProgressSink& progress);

}  // namespace varve::engine
