// One exchange with the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "cache/redis/breaker.h"
#include "cache/redis/connections.h"
#include "cache/redis/patience.h"

namespace varve::cache::redis {

// Asks the breaker and takes a connection; its destruction tells both how it went. One thread.
class Call {
 public:
  // `errors` counts failures. All outlive the call.
  Call(Breaker& breaker, Connections& connections, std::atomic<std::uint64_t>& errors,
       Patience patience)
      : breaker_(breaker),
        connections_(connections),
        errors_(errors),
        patience_(patience),
        pass_(breaker.ask()) {
    if (pass_ == Breaker::Pass::no) return;
    Result<Connections::Lease> lease = connections_.take(patience_.until());
    if (lease) {
      lease_ = std::move(*lease);
      // A reply too many: it would be taken for the first of ours.
      if (lease_->connection->is_off()) give_up();
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
    if (pending_ != 0) give_up();
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
    Result<Reply> reply = lease_->connection->next(patience_.until());
    // With a reply too many, nobody knows which is whose.
    const bool is_off = reply && pending_ == 1 && lease_->connection->is_off();
    if (!reply || is_off) {
      give_up();
      return nullptr;
    }
    --pending_;
    patience_.note_progress(base::system_clock().now());
    return std::move(*reply);
  }
  // The server answers, but not what it is there for.
  void refuse() { refused_ = true; }
  // The connection is of no more use. REQUIRES: it did not break off yet.
  void give_up() {
    connections_.give_broken(std::move(*lease_));
    lease_.reset();
    if (patience_.was_too_much(base::system_clock().now())) {
      breaker_.gave_up(pass_);
      return;
    }
    ++errors_;
    breaker_.failed(pass_);
  }

 private:
  Breaker& breaker_;
  Connections& connections_;
  std::atomic<std::uint64_t>& errors_;
  Patience patience_;
  const Breaker::Pass pass_;
  std::optional<Connections::Lease> lease_;
  std::size_t pending_ = 0;
  bool refused_ = false;
};

}  // namespace varve::cache::redis
