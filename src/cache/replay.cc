#include "cache/replay.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_map>
#include <utility>

#include "base/assert.h"

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
  std::vector<bool> held(trace.key_count());
  std::uint64_t used = 0;
  std::uint64_t misses = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const std::uint32_t key = trace.key(i);
    if (held[key]) {
      policy.touch(key);
      continue;
    }
    ++misses;
    const std::uint64_t size = trace.size_of(key);
    if (size > capacity) continue;
    held[key] = true;
    used += size;
    policy.insert(key, hash_of(key), size);
    while (used > capacity) {
      const SlotId gone = policy.evict();
      held[gone] = false;
      used -= trace.size_of(gone);
    }
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
