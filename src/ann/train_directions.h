// Finds the directions along which codes keep their error (kernels/directions.h).
#pragma once

#include <cstdint>
#include <span>

#include "ann/kmeans.h"
#include "base/pool.h"
#include "kernels/directions.h"
#include "kernels/distance.h"
#include "kernels/rotation.h"

namespace varve::ann {

// Rows that are enough; of more the caller may take some that are spread over all.
inline constexpr std::size_t kDirectionRows = 4096;

// The main directions of `rows` about their nearest centroids, rotated: as many as make estimates
// best in `extra_words` (kernels/extra_codes.h) a row, where each takes bits from the grid. None if
// rows are few or spread over so many directions that these gain little. `rows`: float32 as
// clusters see them; of more than kDirectionRows some are taken. Deterministic for a seed at any
// width of the pool.
kernels::Directions train_directions(kernels::MatrixView rows, const CentroidSet& centroids,
                                     const kernels::Rotation& rotation, std::uint32_t extra_words,
                                     std::uint64_t seed, base::Pool& pool);

}  // namespace varve::ann
