// A store that fails on purpose, by a seed: what real networks and stores do to a request.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/sync.h"
#include "store/object_store.h"

namespace varve::store {

// Probabilities in [0, 1]. At most one fault beside the delay hits a request.
struct FaultPlan {
  double delay = 0;           // any request: waits up to delay_max first
  double fail_before = 0;     // any request: nothing happens, `unavailable`
  double lose_answer = 0;     // create, replace, remove: it happens, `unavailable`
  double land_late = 0;       // create, replace: `unavailable` now, the request arrives later
  double partial_remove = 0;  // remove: some of the keys go, `unavailable`
  double corrupt_read = 0;    // get, read: one bit of the bytes is wrong
  double truncate_read = 0;   // get, read: the connection breaks off, `unavailable`
  base::Duration delay_max = std::chrono::milliseconds(50);
  // A late request arrives after 1 to so many further requests through this wrapper.
  std::uint32_t late_requests_max = 20;
  // Requests whose (first) key it refuses are left alone; empty: none are. Thread-safe.
  std::function<bool(std::string_view key)> applies_to = {};
};

// How often each fault happened. A run in which a planned fault has zero proves nothing.
struct FaultCounts {
  std::uint64_t delayed = 0;
  std::uint64_t failed_before = 0;
  std::uint64_t lost_answers = 0;
  std::uint64_t held_late = 0;
  std::uint64_t landed_late = 0;   // late requests that took effect
  std::uint64_t refused_late = 0;  // late requests whose condition no longer held, or that failed
  std::uint64_t partial_removes = 0;
  std::uint64_t corrupted = 0;
  std::uint64_t truncated = 0;
};

// Thread-safe. The same seed and order of calls give the same faults. `clock` outlives the store,
// and the store its batches.
class FaultStore final : public ObjectStore {
 public:
  FaultStore(std::shared_ptr<ObjectStore> inner, base::Clock& clock, std::uint64_t seed,
             FaultPlan plan);

  FaultCounts counts() const;
  // Replaces the plan, for example by an empty one to let a run settle. Late requests stay held.
  void set_plan(FaultPlan plan);
  // Lets all late requests arrive now, in the order in which they were sent. Each acts under its
  // own condition: a create only if the key is absent, a replace only if the etag still matches.
  void flush_late();

  Result<std::optional<Object>> get(std::string_view key, base::Deadline deadline) override;
  std::unique_ptr<ReadBatch> read(std::span<const ReadRequest> requests,
                                  base::Deadline deadline) override;
  Result<Etag> create(std::string_view key, base::ByteSpan bytes, base::Deadline deadline) override;
  Result<Etag> replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                       base::Deadline deadline) override;
  Result<ListPage> list(std::string_view prefix, std::string_view start_after, std::uint32_t limit,
                        base::Deadline deadline) override;
  Status remove(std::span<const std::string> keys, base::Deadline deadline) override;

 private:
  enum class Fault { none, fail_before, lose_answer, land_late, partial_remove, corrupt, truncate };
  enum class Request { get, list, write, remove };
  struct Fate {
    Fault fault = Fault::none;
    std::uint64_t random = 0;  // which bit, how many keys, how late
  };
  struct Late {
    std::string key;
    base::Bytes bytes;
    std::optional<Etag> expected;  // nullopt: a create
    std::uint64_t due_request = 0;
  };
  class Batch;

  // Counts the request, lets due late requests arrive, waits if it is to be delayed, and decides.
  Fate begin(Request request, std::string_view key);
  // `chosen` is uniform in [0, 1). REQUIRES: mutex_ is held.
  Fault decide(Request request, double chosen) const;
  // Takes the late requests that are due at `request_number` out of the queue. REQUIRES: mutex_ is
  // held.
  std::vector<Late> take_due(std::uint64_t request_number);
  void land(const std::vector<Late>& requests);
  void hold(Late late, std::uint64_t random);
  void count(std::uint64_t FaultCounts::*counter);
  Result<base::Bytes> spoil(Result<base::Bytes> bytes, const Fate& fate, std::string_view key);
  // Shared by create and replace; `expected` is null for a create.
  template <typename Apply>
  Result<Etag> write(std::string_view key, const Apply& apply, base::ByteSpan bytes,
                     const Etag* expected);

  std::shared_ptr<ObjectStore> inner_;
  base::Clock& clock_;
  base::Random random_;
  mutable std::mutex mutex_;
  FaultPlan plan_ VARVE_GUARDED_BY(mutex_);
  FaultCounts counts_ VARVE_GUARDED_BY(mutex_);
  std::vector<Late> late_ VARVE_GUARDED_BY(mutex_);
  std::uint64_t requests_ VARVE_GUARDED_BY(mutex_) = 0;
};

}  // namespace varve::store
