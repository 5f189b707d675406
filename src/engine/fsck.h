// Verifies an index against its invariants (docs/internals/invariants.md) without changing it.
#pragma once

#include "base/result.h"
#include "engine/core.h"
#include "varve/database.h"

namespace varve::engine {

// Reads every object that HEAD reaches. Damage is a finding, not an error, a lost HEAD too; an
// error means that the store could not be asked. Needs nothing of the index but its name: `core`
// need not have been read.
Result<FsckReport> fsck(Core& core, const ProgressSink& progress);

}  // namespace varve::engine
