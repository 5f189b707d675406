// That an index holds the rows that were put and not deleted.
#pragma once

#include <string>

#include "base/random.h"
#include "cli/drift_bench/turning_rows.h"
#include "varve/database.h"

namespace varve::cli::drift_bench {

std::string key_of(std::uint64_t number);
VectorRecord record_of(const TurningRows& rows, std::uint64_t number);

// Counts the rows and looks at some of those that live and of those that are deleted, drawn with
// `random`. REQUIRES: turn > 0. `internal`: they are not those that live after `turn` turnovers.
Status check_rows(Index& index, const Snapshot& snapshot, const TurningRows& rows,
                  std::uint32_t turn, base::Random& random);

}  // namespace varve::cli::drift_bench
