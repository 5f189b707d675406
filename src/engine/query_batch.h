// Many queries at once, on all threads.
#pragma once

#include <cstddef>
#include <cstdint>
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

// Calls ask(i) for each i below `count` on threads of `pool`. After an error, of which the first
// seen is returned and names its query, some are not asked.
Status ask_all(base::Pool& pool, std::size_t count, const std::function<Status(std::size_t)>& ask);

}  // namespace varve::engine
