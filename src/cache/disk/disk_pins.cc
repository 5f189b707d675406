#include "cache/disk/disk_tier.h"

namespace varve::cache {

std::optional<DiskTier::Found> DiskTier::look_up_key(const Key& key) const {
  auto found = look_up(key.hash);
  if (!found) return std::nullopt;
  const auto identity = identify(*found);
  if (!identity || identity->key != key.bytes) return std::nullopt;
  if (is_expired(identity->header.expires_ms)) return std::nullopt;
  return found;
}

void DiskTier::set_pinned(const Found& found, bool pinned) {
  IndexEntry& entry = index_.at(found.slot);
  if ((entry.pinned != 0) == pinned) return;
  entry.pinned = pinned;
  if (pinned) {
    pinned_bytes_ += entry.bytes();
    if (asks_policy()) policy_->remove(found.slot);
  } else {
    pinned_bytes_ -= entry.bytes();
    if (asks_policy()) policy_->insert(found.slot, entry.hash, entry.bytes());
  }
}

bool DiskTier::pin(const Key& key, std::int64_t until_ms) {
  if (is_expired(until_ms)) return false;
  const base::Turn::Held held(turn_);
  const auto found = look_up_key(key);
  if (!found) return false;
  const std::scoped_lock lock(mutex_);
  // The other half is for what comes and goes.
  const std::uint64_t limit = capacity_.bytes / 2;
  const bool is_new = found->entry.pinned == 0;
  if (is_new && limit != 0 && pinned_bytes_ + found->entry.bytes() > limit) return false;
  set_pinned(*found, true);
  pins_[found->slot] = until_ms;
  return true;
}

bool DiskTier::unpin(const Key& key) {
  const base::Turn::Held held(turn_);
  const auto found = look_up_key(key);
  if (!found || found->entry.pinned == 0) return false;
  const std::scoped_lock lock(mutex_);
  set_pinned(*found, false);
  pins_.erase(found->slot);
  return true;
}

bool DiskTier::is_pinned(const Key& key) const {
  const auto found = look_up(key.hash);
  return found && found->entry.pinned != 0;
}

void DiskTier::release_pins() {
  const std::scoped_lock lock(mutex_);
  // Also after the capacity became less.
  const std::uint64_t limit = capacity_.bytes / 2;
  std::erase_if(pins_, [&](const auto& pin) {
    const bool is_too_much = limit != 0 && pinned_bytes_ > limit;
    if (!is_too_much && !is_expired(pin.second)) return false;
    set_pinned({pin.first, {}, nullptr}, false);
    return true;
  });
}

}  // namespace varve::cache
