// What the engine is given: every wait and every source of chance comes from here.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/pool.h"
#include "base/random.h"
#include "store/meter.h"
#include "store/object_store.h"

namespace varve::engine {

class AnswerCache;
class SectionCache;

// Shared by all indexes of a database; each keeps a copy.
struct Env {
  // What the pointers below point to, if nobody else keeps it: an Index or a Snapshot may outlive
  // its Database. First, so that it goes last.
  std::shared_ptr<const void> owned;
  std::shared_ptr<store::ObjectStore> store;
  // Counts what the store is asked, retries included; null: queries count section reads only.
  std::shared_ptr<store::MeterStore> meter;
  // Null: make_database gives it one in memory.
  std::shared_ptr<SectionCache> sections;
  std::shared_ptr<AnswerCache> answers;  // null: every query is answered anew
  base::Clock* clock = nullptr;
  base::Random* random = nullptr;
  base::Pool* compute = nullptr;
  base::Pool* background = nullptr;  // null: no work is started unasked
  // Of one request to the store; also how long a call goes on losing races against other processes.
  std::chrono::milliseconds timeout{60'000};
  // Longest that one write is sent again and again while its outcome is unknown.
  std::chrono::milliseconds resolve_timeout{20'000};
  std::string spool_dir;
  // A tail of so many operations, bytes or log objects is folded in the background; with
  // fold_ops_min = 0 none is. Each object costs a request at the first query of a process.
  std::uint64_t fold_ops_min = 0;
  std::uint64_t fold_bytes_min = 64ULL << 20;
  std::uint64_t fold_objects_min = 512;
  // Writes are refused beyond: the tail is kept in memory and scanned by each query.
  std::uint64_t tail_ops_max = 1'000'000;
  std::uint64_t tail_bytes_max = 512ULL << 20;
  // Writes that wait for their turn in this process.
  std::uint64_t queue_bytes_max = 256ULL << 20;
  // Sections that one call holds on to at the same time; those of one part whatever they take.
  std::uint64_t held_bytes_max = 64ULL << 20;
  std::string owner;  // process_identity(), a hint for abandoned jobs
  // True if the process that registered a job as `owner` is gone for certain; null: never known.
  std::function<bool(const std::string& owner)> owner_is_gone;

  base::Deadline deadline() const { return base::Deadline::after(*clock, timeout); }
};

}  // namespace varve::engine
