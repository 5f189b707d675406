// The connections of one tier.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/sync.h"
#include "cache/redis/connection.h"
#include "cache/redis/trust.h"

namespace varve::cache::redis {

// Thread-safe. `trust` outlives it. Deadlines are of real time.
class Connections {
 public:
  // A connection for one call, and the epoch in which it reads and writes.
  struct Lease {
    std::unique_ptr<Connection> connection;
    std::string server;
    Epoch epoch;
  };

  Connections(Address address, std::uint32_t count_max, Trust& trust)
      : address_(std::move(address)), count_max_(count_max), trust_(trust) {}

  // May take seconds.
  Status look_up();
  // An idle connection, or a new one, or waits for one. `unavailable`, `cancelled`.
  Result<Lease> take(base::TimePoint deadline);
  void give(Lease lease);
  // It broke. Idle ones are closed too, since what broke it hit them as well.
  void give_broken(Lease lease);

 private:
  // Greets the server and learns which one it is.
  Result<std::string> greet(Connection& connection, base::TimePoint deadline) const;
  Result<Lease> open(base::TimePoint deadline);
  // A server of another name, or one without a name after a loss, may have gone back in time.
  // REQUIRES: mutex_ is held.
  void meet(const std::string& server);

  const Address address_;
  const std::uint32_t count_max_;
  Trust& trust_;
  std::mutex mutex_;
  base::CondVar changed_;
  std::optional<SocketAddress> place_ VARVE_GUARDED_BY(mutex_);
  std::vector<Lease> idle_ VARVE_GUARDED_BY(mutex_);
  std::uint32_t count_ VARVE_GUARDED_BY(mutex_) = 0;  // idle and leased
  std::optional<std::string> server_ VARVE_GUARDED_BY(mutex_);
  bool lost_one_ VARVE_GUARDED_BY(mutex_) = false;
};

}  // namespace varve::cache::redis
