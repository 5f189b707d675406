// What the engine is given: every wait and every source of chance comes from here.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/pool.h"
#include "base/random.h"
#include "store/object_store.h"

namespace varve::engine {

// Shared by all indexes of a database; outlives them.
struct Env {
  std::shared_ptr<store::ObjectStore> store;
  base::Clock* clock = nullptr;
  base::Random* random = nullptr;
  base::Pool* compute = nullptr;
  base::Pool* background = nullptr;  // null: no work is started unasked
  std::chrono::milliseconds timeout{60'000};
  // Longest that one write is sent again and again while its outcome is unknown.
  std::chrono::milliseconds resolve_timeout{20'000};
  std::string spool_dir;
  std::uint64_t fold_ops_min = 0;
  std::string owner;  // process_identity(), a hint for abandoned jobs
  // True if the process that registered a job as `owner` is gone for certain; null: never known.
  std::function<bool(const std::string& owner)> owner_is_gone;

  base::Deadline deadline() const { return base::Deadline::after(*clock, timeout); }
};

}  // namespace varve::engine
