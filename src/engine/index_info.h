// What an index says about itself.
#pragma once

#include "engine/core.h"
#include "engine/view.h"
#include "varve/database.h"

namespace varve::engine {

// All that follows from one view and from what this process did; the rest is left as it is.
IndexInfo info_of(const Core& core, const View& view);

}  // namespace varve::engine
