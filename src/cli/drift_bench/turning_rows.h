// Rows in the order in which they come into an index and leave it, and what is asked meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "varve/result.h"
#include "varve/types.h"

namespace varve::cli::drift_bench {

// After `turn` turnovers the rows from `turn` * live() on are alive, live() of them.
class TurningRows {
 public:
  virtual ~TurningRows() = default;
  virtual std::uint32_t dim() const = 0;
  virtual std::uint64_t live() const = 0;
  // The same row each time. REQUIRES: number < (turnovers + 1) * live(); dim() values in `out`.
  virtual void read(std::uint64_t number, std::span<float> out) const = 0;
  // Vectors one behind the other, none of them a row, as they are asked for after `turn` turnovers.
  virtual std::vector<float> queries(std::uint32_t turn) const = 0;
};

struct ClumpOptions {
  std::uint32_t dim = 0;
  std::uint64_t live = 0;
  std::uint32_t turnovers = 0;
  std::uint64_t queries = 0;
  std::uint64_t seed = 0;
};

// Clumps of unequal size near a surface of few dimensions, as bench/generate_clustered.py makes
// them, each on a way of its own. In one turnover the middle of a clump moves by about the spread
// of all middles, and a fifth of the clumps end, each for a new one elsewhere; how hard the rows
// are to search stays the same. Rows are made as they are read.
std::unique_ptr<TurningRows> make_moving_clumps(const ClumpOptions& options);

struct FileOptions {
  std::string path, format;  // `format` as for import; empty: by the name
  Metric metric = Metric::euclidean;
  std::uint32_t turnovers = 0;
  std::uint64_t queries = 0;                   // at most, after each turnover
  std::optional<std::uint64_t> live_max = {};  // less than what the file allows
  std::uint64_t seed = 0;
};

// The rows of a file, all in memory, by their place along the direction in which they vary most. As
// many as the queries are held out, evenly along the way. `invalid`: the file, or fewer rows in it
// than 200 queries and four times as many live rows for each turnover.
Result<std::unique_ptr<TurningRows>> read_file_rows(const FileOptions& options);

}  // namespace varve::cli::drift_bench
