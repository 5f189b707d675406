// Bringing a whole index into the cache.
#pragma once

#include "base/result.h"
#include "engine/core.h"
#include "engine/section_pins.h"
#include "engine/view.h"
#include "varve/database.h"

namespace varve::engine {

// All sections of the view, some parts at a time, so that they are few beside the memory tier.
// With `pinning`, they stay; after an error those stay that did before. `overloaded`: pinned bytes
// are at their limit.
Result<PinReport> warm(const Core& core, const View& view, const Pinning& pinning,
                       const ProgressSink& progress);

// Pins what is new in the view, if the index is pinned; as far as it goes.
Status follow_pin(const Core& core, const View& view);

}  // namespace varve::engine
