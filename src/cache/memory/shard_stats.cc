// What is in a shard, for those who look from outside.
#include <string>

#include "cache/memory/shard.h"

namespace varve::cache {

bool Shard::each(const Tier::Visit& take) const {
  struct Seen {
    std::string key;
    std::uint64_t bytes;
    bool pinned;
  };
  std::vector<Seen> seen;
  {
    std::lock_guard lock(mutex_);
    table_.each([&](const Entry& entry) {
      seen.push_back(
          {std::string(entry.key()), entry.payload().size(), entry.is_marked(Entry::kUserPinned)});
    });
  }
  for (const Seen& entry : seen) {
    if (!take(entry.key, entry.bytes, entry.pinned)) return false;
  }
  return true;
}

void Shard::add_stats(TierStats& stats) const {
  std::lock_guard lock(mutex_);
  const auto left = [this](Cause cause) { return left_[static_cast<std::size_t>(cause)]; };
  stats.insertions += insertions_;
  stats.rejected += rejected_;
  stats.evicted += left(Cause::evicted);
  stats.expired += left(Cause::expired);
  stats.replaced += left(Cause::replaced);
  stats.removed += left(Cause::removed);
  stats.items += items_;
  stats.value_bytes += value_bytes_;
  stats.raw_bytes += raw_bytes_;
  stats.index_bytes += overhead_bytes();
  stats.resident_bytes += charged_ + waiting_bytes_ + overhead_bytes();
  stats.pinned_items += pinned_items_;
  stats.pinned_bytes += pinned_bytes_;
  stats.held_bytes += held_ - waiting_bytes_;
}

}  // namespace varve::cache
