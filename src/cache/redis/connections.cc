#include "cache/redis/connections.h"

#include <fmt/format.h>

namespace varve::cache::redis {
namespace {

std::string_view text_of(const redisReply& reply) {
  return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, reply.len);
}

// The value of `field` in what INFO answers; empty: it is not there.
std::string_view info_field(std::string_view info, std::string_view field) {
  const std::size_t at = info.find(field);
  if (at == std::string_view::npos) return {};
  info.remove_prefix(at + field.size());
  return info.substr(0, info.find_first_of("\r\n"));
}

}  // namespace

Status Connections::look_up() {
  VARVE_TRY(const SocketAddress place, resolve(address_));
  const std::lock_guard lock(mutex_);
  place_ = place;
  return {};
}

Result<Connections::Lease> Connections::take(base::TimePoint deadline) {
  {
    std::unique_lock lock(mutex_);
    while (idle_.empty() && count_ >= count_max_) {
      if (base::system_clock().now() >= deadline) {
        return fail(ErrorKind::overloaded, "redis: all connections were busy");
      }
      changed_.wait_until(lock, deadline);
    }
    if (!idle_.empty()) {
      Lease lease = std::move(idle_.back());
      idle_.pop_back();
      lease.epoch = trust_.epoch();
      return lease;
    }
    ++count_;
  }
  Result<Lease> opened = open(deadline);
  if (!opened) give_broken({});
  return opened;
}

Result<Connections::Lease> Connections::open(base::TimePoint deadline) {
  std::optional<SocketAddress> place;
  {
    const std::lock_guard lock(mutex_);
    place = place_;
  }
  if (!place) return fail(ErrorKind::unavailable, "redis: the host was not found yet");
  Lease lease;
  VARVE_TRY(lease.connection, Connection::connect(*place, deadline));
  VARVE_TRY(lease.server, greet(*lease.connection, deadline));
  const std::lock_guard lock(mutex_);
  meet(lease.server);
  lease.epoch = trust_.epoch();
  return lease;
}

Result<std::string> Connections::greet(Connection& connection, base::TimePoint deadline) const {
  int required = 0;
  if (!address_.password.empty()) {
    ++required;
    if (address_.user.empty()) {
      connection.append({"AUTH", address_.password});
    } else {
      connection.append({"AUTH", address_.user, address_.password});
    }
  }
  if (address_.db != 0) {
    ++required;
    connection.append({"SELECT", std::to_string(address_.db)});
  }
  connection.append({"INFO", "server"});
  connection.append({"INFO", "replication"});
  for (int i = 0; i < required; ++i) {
    VARVE_TRY(const Reply reply, connection.next(deadline));
    if (reply->type != REDIS_REPLY_STATUS) {
      return fail(ErrorKind::unavailable,
                  fmt::format("{} refuses: {}", address_.name(), text_of(*reply)));
    }
  }
  VARVE_TRY(const Reply server, connection.next(deadline));
  VARVE_TRY(const Reply replication, connection.next(deadline));
  // A process that restarted, and one that follows another master now, may have older data.
  const std::string_view run = info_field(text_of(*server), "run_id:");
  if (server->type == REDIS_REPLY_ERROR || run.empty()) return std::string();
  return fmt::format("{} {}", run, info_field(text_of(*replication), "master_replid:"));
}

void Connections::meet(const std::string& server) {
  const bool known = server_ && *server_ == server && !(server.empty() && lost_one_);
  if (known) return;
  if (server_) {
    trust_.renew();
    count_ -= static_cast<std::uint32_t>(idle_.size());
    idle_.clear();
  }
  server_ = server;
  lost_one_ = false;
}

void Connections::give(Lease lease) {
  {
    const std::lock_guard lock(mutex_);
    if (server_ == lease.server) {
      idle_.push_back(std::move(lease));
    } else {
      --count_;
    }
  }
  changed_.notify_all();
}

void Connections::give_broken(Lease lease) {
  std::vector<Lease> closed;
  {
    const std::lock_guard lock(mutex_);
    count_ -= 1 + static_cast<std::uint32_t>(idle_.size());
    closed.swap(idle_);
    lost_one_ = true;
  }
  lease = {};
  changed_.notify_all();
}

}  // namespace varve::cache::redis
