#include "varve/cache/memory.h"

#include <algorithm>
#include <bit>
#include <thread>

#include "base/assert.h"
#include "base/clock.h"
#include "cache/encoding.h"
#include "cache/memory/shard.h"

namespace varve::cache {
namespace {

// Hits take no lock, so few shards are enough; small ones would thrash and refuse large values.
constexpr std::uint64_t kShardBytesMin = std::uint64_t{16} << 20;
constexpr std::uint64_t kShardItemsMin = 4096;
constexpr std::uint32_t kShardsMax = 64;

std::uint32_t shard_count(const MemoryOptions& options) {
  if (options.shards > 0) return std::bit_floor(std::min(options.shards, kShardsMax));
  std::uint64_t most = std::min(kShardsMax, 2 * std::max(1U, std::thread::hardware_concurrency()));
  if (options.capacity.bytes > 0) most = std::min(most, options.capacity.bytes / kShardBytesMin);
  if (options.capacity.items > 0) most = std::min(most, options.capacity.items / kShardItemsMin);
  return std::bit_floor(static_cast<std::uint32_t>(std::max<std::uint64_t>(1, most)));
}

class MemoryTier final : public Tier {
 public:
  MemoryTier(MemoryOptions options, std::unique_ptr<EvictionPolicy> policy)
      : encode_(std::move(options.encode)),
        pinned_share_max_(options.pinned_share_max),
        shared_(std::make_shared<MemoryShared>()) {
    VARVE_ASSERT(policy != nullptr);
    shared_->now_ms = std::move(options.now_ms);
    if (!shared_->now_ms) shared_->now_ms = [] { return base::system_clock().wall_ms(); };
    shared_->on_removal = std::move(options.on_removal);
    const std::uint32_t count = shard_count(options);
    shift_ = 63 - std::countr_zero(count);
    for (std::uint32_t i = 1; i < count; ++i)
      shards_.push_back(new Shard(shared_, policy->fresh()));
    shards_.push_back(new Shard(shared_, std::move(policy)));
    set_capacity(options.capacity);
  }
  ~MemoryTier() override {
    shared_->owner = nullptr;
    shared_->on_removal = nullptr;
    for (Shard* each_shard : shards_) abandon(each_shard);
  }
  MemoryTier(const MemoryTier&) = delete;
  MemoryTier& operator=(const MemoryTier&) = delete;

  std::string_view name() const override { return encode_ ? "ram-compressed" : "ram"; }

  Handle get(const Key& key) override { return shard(key).get(key); }

  bool put(const Key& key, const Handle& value, const PutOptions& options) override {
    return bring(key, value, options, std::nullopt);
  }
  bool put_pinned(const Key& key, const Handle& value, const PutOptions& options,
                  std::int64_t until_ms) override {
    if (is_past(until_ms)) {
      put(key, value, options);
      return false;
    }
    unpin_due();
    return bring(key, value, options, until_ms);
  }

  bool remove(const Key& key) override {
    Departures left;
    const bool was_there = shard(key).remove(key, left);
    tell(left);
    return was_there;
  }

  bool may_contain(const Key& key) const override { return shard(key).contains(key); }

  bool pin(const Key& key, std::int64_t until_ms) override {
    if (is_past(until_ms)) return false;
    unpin_due();
    Departures left;
    const bool done = shard(key).pin(key, until_ms, left);
    tell(left);
    return done;
  }
  bool unpin(const Key& key) override {
    Departures left;
    const bool done = shard(key).unpin(key, left);
    tell(left);
    return done;
  }
  bool is_pinned(const Key& key) const override { return shard(key).is_pinned(key); }

  void each(const Visit& take) const override {
    for (const Shard* each_shard : shards_) {
      if (!each_shard->each(take)) return;
    }
  }

  void set_capacity(const Capacity& capacity) override {
    const auto part = [this](std::uint64_t whole) {
      return whole == 0 ? 0 : std::max<std::uint64_t>(1, whole / shards_.size());
    };
    const std::uint64_t for_shards =
        capacity.bytes == 0 ? 0 : std::max(capacity.bytes, own_bytes() + 1) - own_bytes();
    {
      std::lock_guard lock(capacity_mutex_);
      capacity_ = capacity;
      shared_->pinned_bytes_max = pinned_bytes_max(for_shards);
      for (Shard* each_shard : shards_) {
        each_shard->set_capacity({part(for_shards), part(capacity.items)});
      }
    }
    maintain();
  }
  Capacity capacity() const override {
    std::lock_guard lock(capacity_mutex_);
    return capacity_;
  }

  TierStats stats() const override {
    TierStats stats;
    stats.hits = shared_->counts.sum(MemoryShared::hits);
    stats.misses = shared_->counts.sum(MemoryShared::misses);
    for (const Shard* each_shard : shards_) each_shard->add_stats(stats);
    stats.index_bytes += own_bytes();
    if (encode_) stats.index_bytes += encoding_bytes();
    stats.resident_bytes += own_bytes();
    return stats;
  }

  void maintain() override {
    unpin_due();
    unpin_surplus();
    for (Shard* each_shard : shards_) {
      // Ends: each step takes entries out or finds that there are none to take.
      for (bool more = true; more;) {
        Departures left;
        more = each_shard->shrink(left);
        tell(left);
      }
    }
    give_back_freed_pages();
  }

  void set_owner(TierOwner* owner) override { shared_->owner = owner; }

 private:
  static std::uint64_t own_bytes() { return sizeof(MemoryTier) + sizeof(MemoryShared); }
  Shard& shard(const Key& key) const { return *shards_.data()[key.hash >> 1 >> shift_]; }
  std::uint64_t pinned_bytes_max(std::uint64_t bytes) const {
    if (bytes == 0) return kNoLimit;
    return static_cast<std::uint64_t>(static_cast<double>(bytes) * pinned_share_max_);
  }
  bool is_past(std::int64_t until_ms) const {
    return until_ms != 0 && until_ms <= shared_->now_ms();
  }
  // In all shards: one that is due stands in the way of others anywhere.
  void unpin_due() {
    for (Shard* each_shard : shards_) each_shard->unpin_due();
  }
  // One of each shard in turn, so that all give alike. Ends: each round ends a pin or is the last.
  void unpin_surplus() {
    for (bool more = shared_->has_surplus_pins(); more;) {
      more = false;
      for (Shard* each_shard : shards_) more = each_shard->unpin_surplus() || more;
    }
  }
  bool bring(const Key& key, const Handle& value, const PutOptions& options,
             std::optional<std::int64_t> pin_until_ms) {
    VARVE_ASSERT(!key.bytes.empty());
    VARVE_ASSERT(key.bytes.size() <= kKeyBytesMax);
    const Handle kept = form_to_keep(value);
    Shard& target = shard(key);
    Departures left;
    target.expire_key(key, left);
    tell(left);
    const bool done = target.put(key, kept, options.expires_ms, pin_until_ms, left);
    tell(left);
    return done;
  }
  // Empty: there is none.
  Handle form_to_keep(const Handle& value) const {
    if (!encode_) return decode_value(value);
    return value.method() == 0 ? encode_(value) : value;
  }
  void tell(Departures& left) const {
    for (const Removal& removal : left) {
      if (shared_->on_removal) shared_->on_removal(removal);
      if (shared_->owner != nullptr) shared_->owner->left(removal);
    }
    left.clear();
  }

  static constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

  const std::function<Handle(const Handle&)> encode_;
  const double pinned_share_max_;
  int shift_ = 63;
  mutable std::mutex capacity_mutex_;
  Capacity capacity_ VARVE_GUARDED_BY(capacity_mutex_);
  std::shared_ptr<MemoryShared> shared_;
  std::vector<Shard*> shards_;  // live on while handles need their entries
};

}  // namespace

std::unique_ptr<Tier> make_memory_tier(MemoryOptions options,
                                       std::unique_ptr<EvictionPolicy> policy) {
  delete_orphans();
  return std::make_unique<MemoryTier>(std::move(options), std::move(policy));
}

}  // namespace varve::cache
