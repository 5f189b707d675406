// What an index learns from its first rows, and again when it is built anew.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "ann/code_encoder.h"
#include "ann/kmeans.h"
#include "base/pool.h"
#include "format/blobs.h"
#include "kernels/directions.h"

namespace varve::engine {

// Centroids of `rows`, neighbours beside each other. Ids count from `first_id`.
format::Centroids train_centroids(std::span<const float> rows, std::uint32_t dim,
                                  std::uint32_t clusters, std::uint32_t first_id,
                                  std::uint64_t seed, base::Pool& pool);

// Directions along which the codes of such rows keep their error: never null, empty if they store
// none. `config`: of the index; its directions are not read.
std::shared_ptr<const kernels::Directions> train_directions(std::span<const float> rows,
                                                            const ann::CentroidSet& centroids,
                                                            const ann::CodeConfig& config,
                                                            base::Pool& pool);

}  // namespace varve::engine
