// Fits the recall table of an index: how many clusters queries have to visit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "ann/probe.h"
#include "base/pool.h"
#include "base/random.h"
#include "base/result.h"
#include "engine/env.h"
#include "engine/generation.h"
#include "format/manifest.h"

namespace varve::engine {

// Held-out queries of the recall table: rows, and means of two rows, which lie between clusters as
// questions do that are unlike the rows.
inline constexpr std::size_t kHeldOutRows = 512;
inline constexpr std::size_t kHeldOutMixes = 128;
inline constexpr std::size_t kHeldOut = kHeldOutRows + 2 * kHeldOutMixes;

// The queries that `rows` give: the first kHeldOutRows as they are, means of two of the others.
// `append(row, values)` appends the float32 values of one as the clusters see them.
ann::TrueNeighbors held_out_queries(
    std::span<const std::uint64_t> rows, std::uint32_t dim, Metric metric,
    const std::function<void(std::uint64_t row, std::vector<float>& values)>& append);

// Once `truth` has seen all rows. `cluster_of(row)`: index in `centroids`, or nullopt for a row
// that does not count.
std::vector<format::ProbePoint> fit_recall_table(
    ann::TrueNeighbors& truth, const ann::CentroidSet& centroids,
    std::span<const std::uint32_t> cluster_rows,
    const std::function<std::optional<std::uint32_t>(std::uint64_t row)>& cluster_of,
    base::Pool& pool);

// The table of a generation as it is now. Reads every row once, a part at a time.
Result<std::vector<format::ProbePoint>> fit_recall_table(const Env& env,
                                                         const Generation& generation);

}  // namespace varve::engine
