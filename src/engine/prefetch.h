// Brings clusters into the cache that the next queries will ask for, in the order of time.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/sync.h"
#include "engine/env.h"
#include "engine/view.h"
#include "format/manifest.h"

namespace varve::engine {

// Thread-safe. One job at a time; what comes meanwhile is left out. Does nothing if the Env has no
// background pool, or the index is not in the order of time, or is pinned.
class Prefetch {
 public:
  // `env` outlives it.
  explicit Prefetch(const Env& env) : env_(env) {}
  // Waits for the job under way.
  ~Prefetch();
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  // A query has read `sections` of `parts`, by their numbers in the generation. `has_missed`: not
  // all were in memory. Loads the same sections of the clusters that come next in time, if the
  // query missed or has arrived at what was loaded before.
  void after(const View& view, std::span<const std::uint32_t> parts,
             std::span<const format::Section> sections, bool has_missed);

 private:
  void load(const View& view, std::span<const std::uint32_t> clusters,
            std::span<const format::Section> sections);

  const Env& env_;
  std::mutex mutex_;
  base::CondVar finished_;
  bool running_ VARVE_GUARDED_BY(mutex_) = false;
  std::vector<std::uint32_t> ahead_ VARVE_GUARDED_BY(mutex_);  // ids of the last clusters loaded
};

}  // namespace varve::engine
