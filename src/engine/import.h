// Loads many rows with one commit, past the log.
#pragma once

#include "base/result.h"
#include "engine/core.h"
#include "varve/database.h"

namespace varve::engine {

// Nothing is written to the store before every row has been read and validated. The rows take one
// position in the order of writes, reserved before they are built: what was written earlier is
// replaced by equal keys, what is written meanwhile stays.
Result<ImportReport> import_rows(Core& core, RowSource& source, const ImportOptions& options);

}  // namespace varve::engine
