#include "cache/redis/trust.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve::cache::redis {

Trust::Trust(std::string name_space, bool fixed, std::uint64_t seed)
    : name_space_(std::move(name_space)), fixed_(fixed), random_(seed) {
  begin_epoch();
}

Epoch Trust::epoch() const {
  const std::lock_guard lock(mutex_);
  return epoch_;
}

void Trust::renew() {
  if (fixed_) return;
  const std::lock_guard lock(mutex_);
  begin_epoch();
}

void Trust::doubt(std::uint64_t hash, std::uint64_t sequence) {
  if (fixed_) return;
  const std::lock_guard lock(mutex_);
  std::uint64_t& bound = bounds_[hash];
  bound = std::max(bound, sequence + 1);
  if (bounds_.size() > kBoundsMax) begin_epoch();
}

bool Trust::believes(std::uint64_t hash, std::uint64_t sequence, std::uint64_t epoch) const {
  if (fixed_) return true;
  const std::lock_guard lock(mutex_);
  // The bounds of that epoch are gone.
  if (epoch != epoch_.number) return false;
  const auto bound = bounds_.find(hash);
  return bound == bounds_.end() || sequence >= bound->second;
}

void Trust::begin_epoch() {
  bounds_.clear();
  ++epoch_.number;
  epoch_.prefix = std::make_shared<const std::string>(
      fixed_ ? name_space_ + ":"
             : fmt::format("{}:{}:", name_space_, base::make_nonce(random_).hex()));
}

}  // namespace varve::cache::redis
