// The cache that every section of a query goes through; one for all indexes of a database.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/env.h"
#include "engine/section_pins.h"
#include "engine/section_views.h"
#include "varve/cache/layered.h"

namespace varve::engine {

// Names a section in caches that processes share: index, layout, part and section. Sections never
// change, so neither does what a name stands for. Copies of a store that go separate ways give the
// same number to different parts; the names of their objects are random.
std::array<char, 24> section_key(const format::Uuid& index, const PartSlot& slot,
                                 format::Section section);
// Where the sections that this thread asked for came from; only differences matter.
cache::ReadCounts& section_counts();

// Thread-safe.
class SectionCache {
 public:
  // `folder` is that of the disk tier among the tiers; empty: there is none.
  SectionCache(std::unique_ptr<cache::LayeredCache> cache, std::string folder);

  cache::LayeredCache& layers() { return *cache_; }

  // The views of one section of each of `slots`, in their order. One round trip for all that have
  // to come from the store. `not_found`: an object is gone. `corrupt`: names what is damaged.
  template <typename View>
  Result<std::vector<View>> views(const Env& env, const SectionContext& context,
                                  std::span<PartSlot* const> slots) {
    VARVE_TRY(auto handles, get(env, context, slots, View::kSection));
    std::vector<View> views(slots.size());
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (views[i].open(std::move(handles[i]), *slots[i], context)) continue;
      VARVE_TRY(auto handle, get_anew(env, context, *slots[i], View::kSection));
      if (!views[i].open(std::move(handle), *slots[i], context)) {
        return fail(ErrorKind::internal, slots[i]->context() + ": a section has the wrong size");
      }
    }
    return views;
  }

  struct Warmed {
    std::uint64_t bytes = 0;
    std::uint64_t not_on_disk = 0;  // sections that could not be pinned there
  };
  // Brings sections into the cache and keeps them as `pinning` says. `overloaded`: one cannot be
  // kept in the first tier. `cancelled`: the time of the pin is over.
  Result<Warmed> warm(const Env& env, const SectionContext& context,
                      std::span<PartSlot* const> slots, format::Section section,
                      const Pinning& pinning);
  SectionPins& pins() { return pins_; }

  // What is read ahead of queries, for the counters.
  void count_prefetched(std::uint64_t clusters) { prefetched_ += clusters; }
  std::uint64_t clusters_prefetched() const { return prefetched_; }

  // Bytes that tier `number` keeps of the index.
  std::uint64_t bytes_of(const format::Uuid& index, std::size_t number);
  // Bytes that tier `number` keeps of each index, by section_key_prefix, in one walk. Nothing of a
  // tier that other processes share: walking it may take minutes.
  std::unordered_map<std::string, std::uint64_t> bytes_by_index(std::size_t number);
  // Removes what the tiers keep of the index, pinned or not, now and in processes to come; returns
  // how many bytes that were. Waits until the disk tier knows what it holds. `unavailable`: all are
  // removed, and the next process pins the index again.
  Result<std::uint64_t> forget(const format::Uuid& index);
  // Removes the sections of parts that only `before` has. Tiers that other processes share are left
  // alone: who still reads the older generation does so from there.
  void drop_replaced(const Generation& before, const Generation& now);

 private:
  Result<std::vector<cache::Handle>> get(const Env& env, const SectionContext& context,
                                         std::span<PartSlot* const> slots, format::Section section);
  Status load_missing(const Env& env, const SectionContext& context,
                      std::span<PartSlot* const> slots, format::Section section,
                      std::span<const std::array<char, 24>> keys,
                      std::vector<cache::Handle>& handles);
  // From the store, whatever the tiers have: it is damaged. A tier may be unable to let go of it.
  Result<cache::Handle> get_anew(const Env& env, const SectionContext& context, PartSlot& slot,
                                 format::Section section);

  // From the tiers above the disk, if the disk has it.
  void leave_memory(std::string_view text);
  bool pin_on_disk(std::string_view key, const cache::Handle& value, std::int64_t until_ms);
  // Why the first tier did not pin it.
  Error not_pinned(const Env& env, std::string_view key, const cache::Handle& value,
                   std::int64_t until_ms);

  const std::unique_ptr<cache::LayeredCache> cache_;
  SectionPins pins_;  // goes first
  std::atomic<std::uint64_t> prefetched_ = 0;
};

}  // namespace varve::engine
