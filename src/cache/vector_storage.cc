#include "varve/cache/vector_storage.h"

#include <fmt/format.h>

#include <cstring>

#include "base/assert.h"
#include "base/result.h"
#include "varve/cache/compress.h"
#include "varve/cache/disk.h"
#include "varve/cache/memory.h"
#include "varve/cache/store_source.h"

namespace varve::cache {
namespace {

constexpr int kZstdLevelMax = 22;
// Decides only what a policy draws by chance.
constexpr std::uint64_t kPolicySeed = 1;

Status check_options(const VectorStorageOptions& options) {
  if (options.store.empty()) {
    return fail(ErrorKind::invalid, "store is empty", "a directory, file://PATH or memory://NAME");
  }
  if (options.promote_after == 0) return fail(ErrorKind::invalid, "promote_after is 0");
  if (options.zstd_level < 0 || options.zstd_level > kZstdLevelMax) {
    return fail(ErrorKind::invalid, fmt::format("zstd_level {}: 0 to {} are allowed",
                                                options.zstd_level, kZstdLevelMax));
  }
  if (options.timeout.count() <= 0) return fail(ErrorKind::invalid, "timeout is not above 0");
  return {};
}

Result<std::unique_ptr<EvictionPolicy>> policy_of(const std::string& name) {
  auto policy = make_policy(name, kPolicySeed);
  if (!policy) return tl::unexpected(policy.error().with_context("policy"));
  return policy;
}

using Encode = std::function<Handle(const Handle&)>;

Result<std::vector<std::unique_ptr<Tier>>> make_tiers(const VectorStorageOptions& options,
                                                      const Encode& encode) {
  std::vector<std::unique_ptr<Tier>> tiers;
  const auto add_memory = [&](std::uint64_t bytes, const Encode& form) -> Status {
    if (bytes == 0) return {};
    VARVE_TRY(auto policy, policy_of(options.policy));
    MemoryOptions memory;
    memory.capacity.bytes = bytes;
    memory.encode = form;
    tiers.push_back(make_memory_tier(std::move(memory), std::move(policy)));
    return {};
  };
  VARVE_CHECK(policy_of(options.policy));
  VARVE_CHECK(add_memory(options.hot_bytes, nullptr));
  VARVE_CHECK(add_memory(options.warm_bytes, encode));
  if (!options.folder.empty()) {
    DiskOptions disk;
    disk.folder = options.folder;
    disk.capacity.bytes = options.disk_bytes;
    // The oldest file goes first, what was hit stays: the cheapest order on disk.
    VARVE_TRY(auto oldest_first, policy_of("fifo"));
    auto tier = open_disk_tier(std::move(disk), std::move(oldest_first));
    if (!tier) return tl::unexpected(tier.error().with_context("folder"));
    tiers.push_back(std::move(*tier));
  }
  return tiers;
}

}  // namespace

Result<VectorHandle> VectorHandle::of(Handle handle) {
  const std::span<const std::byte> bytes = handle.bytes();
  if (bytes.size() % sizeof(float) != 0) {
    return fail(ErrorKind::corrupt, fmt::format("{} bytes are no vector of floats", bytes.size()));
  }
  // What lies behind a key in a record, for example.
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(float) != 0) {
    Handle copy = Handle::copy_of(bytes);
    copy.set_expires_ms(handle.expires_ms());
    return VectorHandle(std::move(copy));
  }
  return VectorHandle(std::move(handle));
}

std::optional<VectorGets::Got> VectorGets::next() {
  auto got = gets_->next();
  if (!got) return std::nullopt;
  if (!got->value) return Got{got->index, tl::unexpected(std::move(got->value).error())};
  return Got{got->index, VectorHandle::of(std::move(*got->value))};
}

Result<std::unique_ptr<EfficientVectorStorage>> EfficientVectorStorage::open(
    const VectorStorageOptions& options) {
  VARVE_CHECK(check_options(options));
  const Encode encode = compressed({.floats = true, .zstd_level = options.zstd_level});
  StoreSourceOptions packs;
  packs.prefix = options.prefix;
  packs.timeout = options.timeout;
  auto source = open_store_source(options.store, std::move(packs));
  if (!source) return tl::unexpected(source.error().with_context("store"));
  VARVE_TRY(auto tiers, make_tiers(options, encode));
  LayeredOptions layered;
  layered.promote_after = options.promote_after;
  layered.timeout = options.timeout;
  layered.maintain_every = options.maintain_every;
  layered.encode = encode;
  std::shared_ptr<StoreSource> shared(std::move(*source));
  auto cache = make_layered_cache(std::move(tiers), shared, std::move(layered));
  return std::unique_ptr<EfficientVectorStorage>(
      new EfficientVectorStorage(options.dim, std::move(shared), std::move(cache)));
}

EfficientVectorStorage::EfficientVectorStorage(std::uint32_t dim,
                                               std::shared_ptr<StoreSource> source,
                                               std::unique_ptr<LayeredCache> cache)
    : dim_(dim), source_(std::move(source)), cache_(std::move(cache)) {}

EfficientVectorStorage::~EfficientVectorStorage() = default;

Status EfficientVectorStorage::check(std::span<const float> vector) const {
  if (vector.empty()) return fail(ErrorKind::invalid, "vector is empty");
  if (dim_ == 0 || vector.size() == dim_) return {};
  return fail(ErrorKind::invalid,
              fmt::format("vector has {} dimensions instead of {}", vector.size(), dim_));
}

Status EfficientVectorStorage::put(std::string_view key, std::span<const float> vector) {
  return put_batch(std::span(&key, 1), std::span(&vector, 1));
}

Status EfficientVectorStorage::put_batch(std::span<const std::string_view> keys,
                                         std::span<const std::span<const float>> vectors) {
  VARVE_ASSERT(keys.size() == vectors.size());
  std::vector<Handle> values;
  values.reserve(vectors.size());
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    if (const Status checked = check(vectors[i]); !checked) {
      return tl::unexpected(checked.error().with_context(keys[i]));
    }
    values.push_back(Handle::copy_of(std::as_bytes(vectors[i])));
  }
  return cache_->put_batch(keys, values, {});
}

Result<VectorHandle> EfficientVectorStorage::get(std::string_view key) {
  Result<Handle> value = cache_->get(key);
  if (!value) return tl::unexpected(std::move(value).error());
  return VectorHandle::of(std::move(*value));
}

VectorGets EfficientVectorStorage::get_batch(std::span<const std::string_view> keys) {
  return VectorGets(cache_->get_batch(keys));
}

Status EfficientVectorStorage::remove(std::string_view key) { return cache_->remove(key); }
Result<bool> EfficientVectorStorage::pin(std::string_view key, std::int64_t until_ms) {
  return cache_->pin(key, until_ms);
}
bool EfficientVectorStorage::unpin(std::string_view key) { return cache_->unpin(key); }
LayeredStats EfficientVectorStorage::stats() const { return cache_->stats(); }
Status EfficientVectorStorage::compact() { return source_->compact(); }

}  // namespace varve::cache
