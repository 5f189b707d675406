#include "cache/replay.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "cache/policy/slot_list.h"

namespace varve::cache {
namespace {

// Policies expect hashes (splitmix64, Steele et al., OOPSLA 2014).
std::uint64_t hash_of(std::uint64_t key) {
  key += 0x9E3779B97F4A7C15;
  key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9;
  key = (key ^ key >> 27) * 0x94D049BB133111EB;
  return key ^ key >> 31;
}

// For each access the number of the next one of its key, or kNever.
constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();

std::vector<std::uint32_t> next_uses(const Trace& trace) {
  std::vector<std::uint32_t> seen(trace.key_count(), kNever);
  std::vector<std::uint32_t> next(trace.size());
  for (std::size_t i = trace.size(); i-- > 0;) {
    next[i] = std::exchange(seen[trace.key(i)], static_cast<std::uint32_t>(i));
  }
  return next;
}

// Slots as an owner deals them out: dense, those of the gone first.
class Slots {
 public:
  explicit Slots(std::size_t key_count) : slots_(key_count, kNoSlot) {}

  SlotId of(std::uint32_t key) const { return slots_[key]; }
  SlotId take(std::uint32_t key) {
    if (free_.empty()) {
      free_.push_back(static_cast<SlotId>(keys_.size()));
      keys_.emplace_back();
    }
    slots_[key] = free_.back();
    free_.pop_back();
    keys_[slots_[key]] = key;
    return slots_[key];
  }
  // The key that held it.
  std::uint32_t give_back(SlotId slot) {
    free_.push_back(slot);
    slots_[keys_[slot]] = kNoSlot;
    return keys_[slot];
  }

 private:
  std::vector<SlotId> slots_;  // by key
  std::vector<std::uint32_t> keys_;
  std::vector<SlotId> free_;
};

}  // namespace

Trace::Trace(std::span<const Access> accesses) {
  VARVE_ASSERT(accesses.size() < kNever);
  std::unordered_map<std::uint64_t, std::uint32_t> numbers;
  keys_.reserve(accesses.size());
  for (const Access& access : accesses) {
    const auto [entry, added] =
        numbers.try_emplace(access.key, static_cast<std::uint32_t>(sizes_.size()));
    if (added) {
      sizes_.push_back(std::max<std::uint64_t>(1, access.size));
      total_size_ += sizes_.back();
    }
    keys_.push_back(entry->second);
  }
}

Trace Trace::in_items() const {
  Trace items;
  items.keys_ = keys_;
  items.sizes_.assign(sizes_.size(), 1);
  items.total_size_ = sizes_.size();
  return items;
}

std::uint64_t count_misses(const Trace& trace, std::uint64_t capacity, EvictionPolicy& policy) {
  policy.set_capacity(capacity);
  Slots slots(trace.key_count());
  std::uint64_t used = 0;
  std::uint64_t misses = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const std::uint32_t key = trace.key(i);
    if (const SlotId slot = slots.of(key); slot != kNoSlot) {
      policy.touch(slot);
      continue;
    }
    ++misses;
    const std::uint64_t size = trace.size_of(key);
    if (size > capacity) continue;
    used += size;
    policy.insert(slots.take(key), hash_of(key), size);
    while (used > capacity) used -= trace.size_of(slots.give_back(policy.evict()));
  }
  return misses;
}

std::uint64_t count_misses_of_optimum(const Trace& trace, std::uint64_t capacity) {
  const std::vector<std::uint32_t> next = next_uses(trace);
  std::vector<std::uint32_t> next_of(trace.key_count(), kNever);
  std::vector<bool> held(trace.key_count());
  // Entries that a later access replaced stay until they come up.
  std::priority_queue<std::pair<std::uint32_t, std::uint32_t>> by_next_use;
  std::uint64_t used = 0;
  std::uint64_t misses = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const std::uint32_t key = trace.key(i);
    const std::uint64_t size = trace.size_of(key);
    next_of[key] = next[i];
    if (!held[key]) {
      ++misses;
      if (size > capacity) continue;
      held[key] = true;
      used += size;
    }
    by_next_use.emplace(next[i], key);
    while (used > capacity) {
      const auto [use, candidate] = by_next_use.top();
      by_next_use.pop();
      if (!held[candidate] || next_of[candidate] != use) continue;
      held[candidate] = false;
      used -= trace.size_of(candidate);
    }
  }
  return misses;
}

}  // namespace varve::cache
