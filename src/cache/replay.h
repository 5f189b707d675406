// Recorded accesses through a policy: what share of them a cache of some size would miss.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "varve/cache/policy.h"

namespace varve::cache {

struct Access {
  std::uint64_t key = 0;
  std::uint64_t size = 1;  // of the value, at least 1
};

// Accesses with keys numbered from 0 in the order of their first use. A key keeps the size of its
// first access.
class Trace {
 public:
  explicit Trace(std::span<const Access> accesses);

  std::size_t size() const { return keys_.size(); }
  std::uint32_t key(std::size_t access) const { return keys_[access]; }
  std::size_t key_count() const { return sizes_.size(); }
  std::uint64_t size_of(std::uint32_t key) const { return sizes_[key]; }
  std::uint64_t total_size() const { return total_size_; }  // of all keys
  // The same accesses with every size 1: capacity in items.
  Trace in_items() const;

 private:
  Trace() = default;

  std::vector<std::uint32_t> keys_;
  std::vector<std::uint64_t> sizes_;
  std::uint64_t total_size_ = 0;
};

// Accesses that found nothing. `policy` is fresh. What is larger than the capacity is never held.
std::uint64_t count_misses(const Trace& trace, std::uint64_t capacity, EvictionPolicy& policy);

// The same for the policy that knows the future and drops what is used again last (Belady, IBM
// Systems Journal 1966), newcomers included. No policy misses less if all sizes are equal; with
// sizes it is a good guess, not a bound.
std::uint64_t count_misses_of_optimum(const Trace& trace, std::uint64_t capacity);

}  // namespace varve::cache
