// What memory tiers do when the last handle to an entry that left goes away.
#pragma once

#include "varve/cache/handle.h"

namespace varve::cache {

// REQUIRES: `pinned` is an entry of a memory tier, seen dying without pins.
void give_back_entry(Pinned& pinned);

}  // namespace varve::cache
