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

void DiskTier::set_pinned(SlotId slot, bool pinned) {
  IndexEntry& entry = index_.at(slot);
  if ((entry.pinned != 0) == pinned) return;
  entry.pinned = pinned;
  for (Live* live : {&segments_[entry.segment]->live, &total_}) {
    pinned ? live->pinned_bytes += entry.bytes() : live->pinned_bytes -= entry.bytes();
  }
  if (!asks_policy()) return;
  pinned ? policy_->remove(slot) : policy_->insert(slot, entry.hash, entry.bytes());
}

bool DiskTier::make_pin_room(std::uint64_t bytes) {
  // The other half is for what comes and goes.
  const std::uint64_t limit = capacity_.bytes / 2;
  const auto fits = [&] { return limit == 0 || total_.pinned_bytes + bytes <= limit; };
  if (fits()) return true;
  std::erase_if(pins_, [&](const auto& pin) {
    if (!is_expired(pin.second)) return false;
    set_pinned(pin.first, false);
    return true;
  });
  return fits();
}

bool DiskTier::pin(const Key& key, std::int64_t until_ms) {
  if (is_expired(until_ms)) return false;
  const base::Turn::Held held(turn_);
  const auto found = look_up_key(key);
  if (!found) return false;
  const std::scoped_lock lock(mutex_);
  if (found->entry.pinned == 0 && !make_pin_room(found->entry.bytes())) return false;
  set_pinned(found->slot, true);
  pins_[found->slot] = until_ms;
  return true;
}

bool DiskTier::unpin(const Key& key) {
  const base::Turn::Held held(turn_);
  const auto found = look_up_key(key);
  if (!found || found->entry.pinned == 0) return false;
  const std::scoped_lock lock(mutex_);
  set_pinned(found->slot, false);
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
    const bool is_too_much = limit != 0 && total_.pinned_bytes > limit;
    if (!is_too_much && !is_expired(pin.second)) return false;
    set_pinned(pin.first, false);
    return true;
  });
}

}  // namespace varve::cache
