#include "engine/section_layers.h"

#include <algorithm>

#include "engine/memory_limit.h"
#include "varve/cache/compress.h"
#include "varve/cache/disk.h"
#include "varve/cache/memory.h"
#include "varve/cache/redis.h"

namespace varve::engine {
namespace {

constexpr std::uint64_t kRamShare = 4;  // one part in so many of the memory there is
constexpr std::uint64_t kRamBytesMax = std::uint64_t{4} << 30;
constexpr std::uint64_t kRamBytesInTests = std::uint64_t{256} << 20;
// Sections that wait to be moved: of memory, one part in so many.
constexpr std::uint64_t kMoveShare = 8;
constexpr std::uint64_t kMoveBytesMax = std::uint64_t{64} << 20;
constexpr std::uint64_t kPolicySeed = 1;
constexpr std::chrono::milliseconds kKnownTime{250};
// Sections of one database at a Redis server that has other uses too.
constexpr const char* kRedisNameSpace = "varve:sections";

std::uint64_t default_ram_bytes() {
  const std::uint64_t bytes = memory_bytes("");
  return bytes == 0 ? kRamBytesInTests : std::min(kRamBytesMax, bytes / kRamShare);
}

Result<std::unique_ptr<cache::EvictionPolicy>> policy_of(const CacheOptions& options) {
  auto policy = cache::make_policy(options.policy, kPolicySeed);
  if (!policy) return tl::unexpected(policy.error().with_context("cache.policy"));
  return policy;
}

}  // namespace

Result<std::shared_ptr<SectionCache>> make_section_cache(const CacheOptions& options,
                                                         base::Clock& clock, base::Pool* pool) {
  const auto now_ms = [&clock] { return clock.wall_ms(); };
  std::vector<std::unique_ptr<cache::Tier>> tiers;
  const std::uint64_t ram = options.ram_bytes_max > 0 ? options.ram_bytes_max : default_ram_bytes();
  VARVE_TRY(auto policy, policy_of(options));
  cache::MemoryOptions memory;
  memory.capacity.bytes = ram;
  memory.now_ms = now_ms;
  tiers.push_back(cache::make_memory_tier(memory, std::move(policy)));
  const auto encode = cache::compressed();
  if (options.compressed_bytes_max > 0) {
    VARVE_TRY(auto compressed_policy, policy_of(options));
    memory.capacity.bytes = options.compressed_bytes_max;
    memory.encode = encode;
    tiers.push_back(cache::make_memory_tier(memory, std::move(compressed_policy)));
  }
  if (!options.disk_dir.empty()) {
    cache::DiskOptions disk;
    disk.folder = options.disk_dir;
    disk.capacity.bytes = options.disk_bytes_max;
    disk.immutable = true;  // named by what they hold
    disk.clock = &clock;
    VARVE_TRY(auto fifo, cache::make_policy("fifo", kPolicySeed));
    auto tier = cache::open_disk_tier(std::move(disk), std::move(fifo));
    if (!tier) return tl::unexpected(tier.error().with_context("cache.disk_dir"));
    // A short-lived process would be over before its warm entries are known; a large folder goes on
    // in the background.
    (*tier)->wait_until_known(kKnownTime);
    tiers.push_back(std::move(*tier));
  }
  if (!options.redis_url.empty()) {
    cache::RedisOptions redis;
    redis.url = options.redis_url;
    redis.name_space = kRedisNameSpace;
    redis.shared_immutable = true;
    auto tier = cache::open_redis_tier(std::move(redis));
    if (!tier) return tl::unexpected(tier.error().with_context("cache.redis_url"));
    tiers.push_back(std::move(*tier));
  }
  cache::LayeredOptions layered;
  layered.promote_after = options.promote_after;
  layered.negative_ttl = std::chrono::milliseconds(0);
  layered.move_bytes_max = std::min(kMoveBytesMax, ram / kMoveShare);
  if (tiers.size() > 1) layered.encode = encode;
  layered.pool = pool;
  layered.clock = &clock;
  auto sections = std::make_shared<SectionCache>(
      cache::make_layered_cache(std::move(tiers), nullptr, std::move(layered)), options.disk_dir);
  sections->pins().restore(clock.wall_ms(), pool);
  return sections;
}

std::shared_ptr<SectionCache> make_section_cache_in_memory(base::Clock& clock) {
  CacheOptions options;
  options.ram_bytes_max = kRamBytesInTests;
  return std::move(*make_section_cache(options, clock, nullptr));
}

CacheTierStatus status_of(std::string_view name, const cache::TierStats& stats,
                          std::uint64_t capacity_bytes) {
  CacheTierStatus status;
  status.name = name;
  status.available = stats.available;
  status.hits = stats.hits;
  status.misses = stats.misses;
  status.items = stats.items;
  status.value_bytes = stats.value_bytes;
  status.raw_bytes = stats.raw_bytes;
  status.resident_bytes = std::max(stats.resident_bytes, stats.index_bytes) + stats.held_bytes;
  status.disk_bytes = stats.disk_bytes;
  status.capacity_bytes = capacity_bytes;
  status.pinned_items = stats.pinned_items;
  status.pinned_bytes = stats.pinned_bytes;
  status.evicted = stats.evicted;
  status.expired = stats.expired;
  status.rejected = stats.rejected;
  status.errors = stats.errors;
  status.corrupt = stats.corrupt;
  return status;
}

CacheStatus status_of(cache::LayeredCache& layers) {
  for (std::size_t i = 0; i < layers.tier_count(); ++i) layers.tier(i).maintain();
  const cache::LayeredStats stats = layers.stats();
  CacheStatus status;
  for (std::size_t i = 0; i < stats.tiers.size(); ++i) {
    const auto& [name, tier] = stats.tiers[i];
    status.tiers.push_back(status_of(name, tier, layers.tier(i).capacity().bytes));
  }
  status.loads = stats.loads;
  status.load_errors = stats.load_errors;
  status.loads_shared = stats.loads_shared;
  status.promotions = stats.promotions;
  status.promotions_dropped = stats.promotions_dropped;
  status.demotions = stats.demotions;
  status.demotions_dropped = stats.demotions_dropped;
  return status;
}

}  // namespace varve::engine
