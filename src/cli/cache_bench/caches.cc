#include "cli/cache_bench/caches.h"

#include <filesystem>

#include "base/bytes.h"
#include "base/result.h"
#include "codec/lossless.h"

namespace varve::cli::cache_bench {
namespace {

class NoLoads final : public cache::Loads {
 public:
  explicit NoLoads(std::size_t keys) : keys_(keys) {}
  std::optional<Loaded> next() override {
    if (next_ == keys_) return std::nullopt;
    Loaded nothing;
    nothing.index = next_++;
    return nothing;
  }

 private:
  const std::size_t keys_;
  std::size_t next_ = 0;
};

class EmptySource final : public cache::Source {
 public:
  std::string_view name() const override { return "nothing"; }
  std::unique_ptr<cache::Loads> load(std::span<const cache::Key> keys,
                                     std::chrono::milliseconds) override {
    return std::make_unique<NoLoads>(keys.size());
  }
  Status put_batch(std::span<const cache::Key>, std::span<const cache::Handle>,
                   const cache::PutOptions&) override {
    return {};
  }
};

std::unique_ptr<cache::Tier> memory_tier(cache::MemoryOptions options, const std::string& policy) {
  return cache::make_memory_tier(std::move(options), std::move(*cache::make_policy(policy, 1)));
}

}  // namespace

std::shared_ptr<cache::Source> empty_source() { return std::make_shared<EmptySource>(); }

std::unique_ptr<cache::Tier> ram_tier(std::uint64_t bytes, const std::string& policy) {
  cache::MemoryOptions options;
  options.capacity.bytes = bytes;
  return memory_tier(std::move(options), policy);
}

std::unique_ptr<cache::Tier> packed_tier(
    std::function<cache::Handle(const cache::Handle&)> encode) {
  cache::MemoryOptions options;
  options.encode = std::move(encode);
  return memory_tier(std::move(options), "s3-fifo");
}

Result<std::unique_ptr<cache::Tier>> disk_tier(const std::string& folder) {
  std::error_code failed;
  std::filesystem::remove_all(folder, failed);
  std::filesystem::create_directories(folder, failed);
  cache::DiskOptions options;
  options.folder = folder;
  return cache::open_disk_tier(std::move(options), std::move(*cache::make_policy("fifo", 1)));
}

cache::Handle by_zstd(const cache::Handle& value) {
  constexpr int kLevel = 3;
  auto bytes = codec::encode_as(codec::Method::zstd, value.bytes(), {false, kLevel, nullptr});
  if (!bytes) return value;
  const auto owner = std::make_shared<const base::Bytes>(std::move(*bytes));
  cache::Handle handle = cache::Handle::borrow(owner, owner->span());
  handle.set_encoding(static_cast<std::uint8_t>(codec::Method::zstd), value.bytes().size());
  return handle;
}

std::unique_ptr<cache::LayeredCache> cache_over(std::unique_ptr<cache::Tier> below) {
  std::vector<std::unique_ptr<cache::Tier>> tiers;
  tiers.push_back(ram_tier(std::uint64_t{1} << 20));
  tiers.push_back(std::move(below));
  cache::LayeredOptions options;
  options.promote_after = 16;  // the counters of the sketch end at 15
  return cache::make_layered_cache(std::move(tiers), empty_source(), std::move(options));
}

}  // namespace varve::cli::cache_bench
