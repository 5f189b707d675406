// The caches that are measured, and the cases; see bench_cache.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/bench_cache.h"
#include "varve/cache/disk.h"
#include "varve/cache/layered.h"
#include "varve/cache/memory.h"

namespace varve::cli::cache_bench {

// A last layer that takes everything and has nothing: a read of it would be found out.
std::shared_ptr<cache::Source> empty_source();

// Tiers for LayeredCache, with the policy of this name.
std::unique_ptr<cache::Tier> ram_tier(std::uint64_t bytes, const std::string& policy = "s3-fifo");
std::unique_ptr<cache::Tier> packed_tier(std::function<cache::Handle(const cache::Handle&)> encode);
// Empties the folder.
Result<std::unique_ptr<cache::Tier>> disk_tier(const std::string& folder);

// zstd-3 and nothing else, also where something simpler would do.
cache::Handle by_zstd(const cache::Handle& value);

// A first tier of 1 MB that has none of the keys, and `below`, from which nothing moves up: each
// get misses in the first tier, is counted, and is found in the second.
std::unique_ptr<cache::LayeredCache> cache_over(std::unique_ptr<cache::Tier> below);

using Rows = Result<std::vector<CacheRow>>;

Rows measure_l1(const CacheBench& bench, const std::string& name);
Rows measure_l2(const CacheBench& bench, const std::string& name);
Rows measure_l3(const CacheBench& bench, const std::string& name);
Rows measure_two_threads(const CacheBench& bench, const std::string& name);
Rows measure_small_memory(const CacheBench& bench, const std::string& name);
Rows measure_resident_truth(const CacheBench& bench, const std::string& name);
Rows measure_hit_ratio(const CacheBench& bench, const std::string& name);

}  // namespace varve::cli::cache_bench
