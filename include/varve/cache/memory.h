// The tier in memory: as it is, or compressed.
#pragma once

#include <functional>
#include <memory>

#include "varve/cache/policy.h"
#include "varve/cache/tier.h"

namespace varve::cache {

struct MemoryOptions {
  // What it may use, bookkeeping included. Handles that callers keep come on top.
  Capacity capacity;
  // Turns a value into the form that is kept, for example compressed(); null: kept as it is.
  // Thread-safe. What comes encoded already is kept so.
  std::function<Handle(const Handle& value)> encode;
  // Independent parts; 0: by capacity and cores, of 16 MiB at least. A value must fit into one of
  // them, and a pin leaves an eighth of the part for entries that are not pinned.
  std::uint32_t shards = 0;
  // Of the whole capacity, what pinned entries may take together.
  double pinned_share_max = 0.5;
  RemovalCallback on_removal;
  // Milliseconds since 1970; null: the clock of the system.
  std::function<std::int64_t()> now_ms;
};

// `policy` decides what leaves when the tier is full; parts beyond the first use policy->fresh().
// Named "ram", or "ram-compressed" with `encode`. Hits take no lock if
// policy->touch_is_concurrent(): the thread writes down in a word of its own what it uses, and
// clears it when it lets go of the handle. Beyond eight handles at once a thread counts in the
// entries instead.
std::unique_ptr<Tier> make_memory_tier(MemoryOptions options,
                                       std::unique_ptr<EvictionPolicy> policy);

}  // namespace varve::cache
