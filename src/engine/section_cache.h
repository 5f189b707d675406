// The cache that every section of a query goes through; one for all indexes of a database.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/sync.h"
#include "engine/env.h"
#include "engine/pin_file.h"
#include "engine/section_views.h"
#include "varve/cache/layered.h"

namespace varve::engine {

// Names a section in caches that processes share: index, layout, part and section. Sections never
// change, so neither does what a name stands for.
std::array<char, 24> section_key(const format::Uuid& index, std::uint64_t part,
                                 format::Section section);
// What the names of all sections of an index begin with.
std::string section_key_prefix(const format::Uuid& index);

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

  // Brings sections into the cache; returns their bytes. With `pins`, keeps them in the first tier
  // and on disk until `until_ms` (since 1970; 0: no end). `overloaded`: pinned bytes are at their
  // limit.
  Result<std::uint64_t> warm(const Env& env, const SectionContext& context,
                             std::span<PartSlot* const> slots, format::Section section, bool pins,
                             std::int64_t until_ms);
  // For the processes to come: those that were pinned stay pinned on disk. No effect without a
  // folder. `unavailable`: it cannot be written.
  Status remember_pin(const format::Uuid& index, std::int64_t until_ms);
  // Pins on disk what earlier processes pinned. Waits until the tier knows what it holds.
  void restore_pins(std::int64_t now_ms);
  // In all tiers and for the processes to come. Returns how many sections were pinned in memory or
  // on disk.
  Result<std::uint64_t> unpin(const format::Uuid& index);
  // Bytes that tier `number` keeps of the index.
  std::uint64_t bytes_of(const format::Uuid& index, std::size_t number);
  // Removes what the tiers keep of the index; returns how many bytes that were.
  std::uint64_t forget(const format::Uuid& index);

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

  // The tier on disk; null: there is none.
  cache::Tier* disk() const;

  const std::unique_ptr<cache::LayeredCache> cache_;
  const std::string folder_;
  std::mutex pins_mutex_;
  Pins pins_ VARVE_GUARDED_BY(pins_mutex_);
};

}  // namespace varve::engine
