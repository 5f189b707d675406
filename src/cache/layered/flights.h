// One load at a time for each key: who comes later waits for it.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/sync.h"
#include "varve/cache/handle.h"
#include "varve/result.h"

namespace varve::cache {

// One load and those who wait for it.
class Flight {
 public:
  // The value; nullopt: the leader failed and the caller is the new one, or the time is over (then
  // `leads` is false).
  struct Outcome {
    std::optional<Handle> value;
    bool leads = false;
  };
  Outcome wait(const base::Clock& clock, base::TimePoint until);

  void finish(const Handle& value);
  // The leader gives up. True: one of those who wait takes over.
  bool fail();

 private:
  std::mutex mutex_;
  base::CondVar changed_;
  std::optional<Handle> value_ VARVE_GUARDED_BY(mutex_);
  bool has_leader_ VARVE_GUARDED_BY(mutex_) = true;
  std::size_t waiting_ VARVE_GUARDED_BY(mutex_) = 0;
};

// Thread-safe.
class Flights {
 public:
  struct Ticket {
    std::shared_ptr<Flight> flight;
    bool leads = false;
  };
  // Joins the load of `key`, or begins one that the caller has to finish or fail.
  Ticket join(std::string_view key);
  // The load is over, or takes too long; later gets begin another.
  void end(std::string_view key, const std::shared_ptr<Flight>& flight);
  // The leader failed: ends the load unless one of those who wait takes over.
  void fail(std::string_view key, const std::shared_ptr<Flight>& flight);
  // The key was written: later gets must not join the load under way.
  void detach(std::string_view key);

  // What the last layer does not have.
  void note_absent(std::string_view key, base::TimePoint until);
  bool is_absent(std::string_view key, base::TimePoint now);

 private:
  static constexpr std::size_t kShards = 64;
  static constexpr std::size_t kAbsentMax = 1024;  // in each

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>()(key);
    }
  };
  template <typename Value>
  using Map = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;
  struct Shard {
    std::mutex mutex;
    Map<std::shared_ptr<Flight>> flights VARVE_GUARDED_BY(mutex);
    Map<base::TimePoint> absent VARVE_GUARDED_BY(mutex);
  };

  Shard& shard(std::string_view key) { return shards_[Hash()(key) % kShards]; }

  // Gets that miss ask whether anything is known to be absent before they take a lock.
  std::atomic<std::size_t> absent_count_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace varve::cache
