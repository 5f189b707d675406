// Writes to an index and what it does unasked after them.
#pragma once

#include <span>
#include <string>

#include "base/clock.h"
#include "varve/database.h"

namespace varve::cli::drift_bench {

// Puts rows and removes keys, again while the log is full: folds go on meanwhile. Errors as `put`
// and `remove`.
Status replace_rows(Index& index, std::span<const VectorRecord> rows,
                    std::span<const std::string> keys);

struct Quiet {
  IndexInfo info;
  base::TimePoint since;  // when the last change was seen
};

// Waits until nothing changes any more. `fold_ops_min`: as in DatabaseOptions. `internal`:
// something failed in the background. `cancelled`: it goes on for more than two minutes.
Result<Quiet> wait_until_quiet(Index& index, std::uint64_t fold_ops_min);

}  // namespace varve::cli::drift_bench
