// Many queries at once: on all threads, and in an order in which one query finds at hand what the
// one before it read.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/pool.h"
#include "base/result.h"
#include "engine/generation.h"
#include "varve/types.h"

namespace varve::engine {

// How many queries `vectors` are, of the dimension of the generation one behind the other.
// `invalid`: names the first that is.
Result<std::size_t> validate_batch(const Generation& generation, std::span<const float> vectors,
                                   const QueryOptions& options);

using AskOne = std::function<Status(std::size_t number, std::span<const float> query)>;
// Calls `ask` for each of the queries on threads of `pool`. Those whose nearest cluster is the same
// follow each other on one thread. After an error, of which the first seen is returned, some are
// not asked. REQUIRES: validate_batch(vectors).
Status ask_all(const Generation& generation, base::Pool& pool, std::span<const float> vectors,
               const AskOne& ask);

}  // namespace varve::engine
