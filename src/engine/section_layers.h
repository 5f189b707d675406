// The tiers of a database, from its options; and what they say of themselves.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/pool.h"
#include "base/result.h"
#include "engine/section_cache.h"
#include "varve/database.h"

namespace varve::engine {

// `invalid`: names the option. `conflict`: another process has the folder of the disk tier. `pool`
// moves sections between tiers; it and the clock outlive the cache.
Result<std::shared_ptr<SectionCache>> make_section_cache(const CacheOptions& options,
                                                         base::Clock& clock, base::Pool* pool);
// Memory alone, moderately sized, nothing in the background.
std::shared_ptr<SectionCache> make_section_cache_in_memory(base::Clock& clock);

CacheStatus status_of(cache::LayeredCache& layers);
CacheTierStatus status_of(std::string_view name, const cache::TierStats& stats,
                          std::uint64_t capacity_bytes);

}  // namespace varve::engine
