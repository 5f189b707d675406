// Which indexes are to stay near at hand, and that their sections do.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/pool.h"
#include "base/result.h"
#include "base/sync.h"
#include "engine/pin_file.h"
#include "format/uuid.h"
#include "varve/cache/layered.h"

namespace varve::engine {

// How close a section has to stay, and until when (since 1970; 0: no end).
struct Pinning {
  enum class Keep : std::uint8_t {
    while_asked_for,  // not pinned
    on_disk,
    on_disk_alone,    // and not in memory, unless there is no disk
    codes_in_memory,  // and all on disk, what else there is on_disk_alone
    in_memory,        // and on disk
  };
  Keep keep = Keep::while_asked_for;
  std::int64_t until_ms = 0;
};

// So much of a uuid is as good as all of it, and the name of a section fits beside its entry.
inline constexpr std::size_t kIndexKeyBytes = 14;
// What the names of all sections of an index begin with.
std::string section_key_prefix(const format::Uuid& index);

// A tier that other processes use too: what it keeps is not ours to count or to tidy up.
bool is_shared(const cache::Tier& tier);

// Thread-safe.
class SectionPins {
 public:
  // `folder` is that of the disk tier among the tiers; empty: there is none. `layers` outlive it.
  SectionPins(cache::LayeredCache& layers, std::string folder);
  // Waits for what `restore` began.
  ~SectionPins();

  // Pins on disk what earlier processes pinned. At once if the tier knows what it holds; else on
  // `pool`, as soon as it does. Without a pool it waits. Call once, first.
  void restore(std::int64_t now_ms, base::Pool* pool);

  // How the index is pinned now. Costs nothing while no index is.
  std::optional<Pinning> find(const format::Uuid& index, std::int64_t now_ms) const;
  // As `pinning` says by this process, and on disk by those to come. `unavailable`: the second is
  // not certain. REQUIRES: it says codes_in_memory or in_memory.
  Status remember(const format::Uuid& index, const Pinning& pinning);

  // The sections of an index that are pinned, by tier.
  using Pinned = std::vector<std::set<std::string>>;
  Pinned pinned(const format::Uuid& index) const;
  // Unpins all sections of the index but `kept`, which get back the time they had.
  void take_back(const format::Uuid& index, const Pinned& kept);
  // In all tiers and for the processes to come. Returns how many sections were pinned. Waits until
  // the disk tier knows what it holds. `unavailable`: the next process pins them again.
  Result<std::uint64_t> unpin(const format::Uuid& index);

  // The tier on disk; null: there is none.
  cache::Tier* disk() const;
  // Until the disk tier knows what it holds, or for a minute.
  void wait_until_known() const;

 private:
  void restore_when_known();
  void restore_now();
  // With turn_.
  Status write_file(const Pins& pins) const;
  Pins copy() const;

  cache::LayeredCache& layers_;
  const std::string folder_;
  base::Turn turn_;  // of whoever changes the file or the pins of an index in the tiers
  mutable std::mutex mutex_;
  base::CondVar restored_;
  Pins pins_ VARVE_GUARDED_BY(mutex_);
  // Of pins_, those of this process.
  std::map<std::string, Pinning::Keep> in_memory_ VARVE_GUARDED_BY(mutex_);
  bool must_restore_ VARVE_GUARDED_BY(mutex_) = false;
  bool is_posted_ VARVE_GUARDED_BY(mutex_) = false;
  std::atomic<bool> has_pins_{false};  // of pins_, to look without the lock
  std::atomic<bool> is_closing_{false};
};

}  // namespace varve::engine
