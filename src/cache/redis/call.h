// One exchange with the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "cache/redis/breaker.h"
#include "cache/redis/connections.h"

namespace varve::cache::redis {

// Asks the breaker and takes a connection; its destruction tells both how it went. One thread.
class Call {
 public:
  // `errors` counts failures. All outlive the call.
  Call(Breaker& breaker, Connections& connections, std::atomic<std::uint64_t>& errors,
       base::TimePoint deadline)
      : breaker_(breaker),
        connections_(connections),
        errors_(errors),
        deadline_(deadline),
        pass_(breaker.ask()) {
    if (pass_ == Breaker::Pass::no) return;
    Result<Connections::Lease> lease = connections_.take(deadline_);
    if (lease) {
      lease_ = std::move(*lease);
      return;
    }
    ++errors_;
    if (lease.error().kind == ErrorKind::overloaded) {
      breaker_.gave_up(pass_);
    } else {
      breaker_.failed(pass_);
    }
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    if (!lease_) return;
    // Replies that nobody read would answer the next call.
    if (pending_ != 0) fail();
    if (!lease_) return;
    connections_.give(std::move(*lease_));
    if (refused_) {
      ++errors_;
      breaker_.failed(pass_);
    } else {
      breaker_.succeeded(pass_);
    }
  }

  // False: the server cannot be asked now, or broke off.
  explicit operator bool() const { return lease_.has_value(); }
  const Epoch& epoch() const { return lease_->epoch; }

  // The connection, to queue one more command.
  Connection& command() {
    ++pending_;
    return *lease_->connection;
  }
  // Null: it broke off.
  Reply next() {
    if (!lease_) return nullptr;
    Result<Reply> reply = lease_->connection->next(deadline_);
    if (!reply) {
      fail();
      return nullptr;
    }
    --pending_;
    return std::move(*reply);
  }
  // The server answers, but not what it is there for.
  void refuse() { refused_ = true; }

 private:
  void fail() {
    connections_.give_broken(std::move(*lease_));
    lease_.reset();
    ++errors_;
    breaker_.failed(pass_);
  }

  Breaker& breaker_;
  Connections& connections_;
  std::atomic<std::uint64_t>& errors_;
  const base::TimePoint deadline_;
  const Breaker::Pass pass_;
  std::optional<Connections::Lease> lease_;
  std::size_t pending_ = 0;
  bool refused_ = false;
};

}  // namespace varve::cache::redis
