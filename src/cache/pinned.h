// What memory tiers do when the last handle to an entry that left goes away.
#pragma once

#include "varve/cache/handle.h"

namespace varve::cache {

// REQUIRES: `pinned` is an entry of a memory tier that this thread has just made free.
void give_back_entry(Pinned& pinned);

}  // namespace varve::cache
