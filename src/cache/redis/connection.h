// One connection to a server. hiredis reads the replies; sockets and deadlines are ours, because
// its own time-outs begin anew with each byte, its look-up of names has none, and a closed peer
// raises SIGPIPE.
#pragma once

#include <hiredis/hiredis.h>
#include <sys/socket.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cache/redis/address.h"

namespace varve::cache::redis {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

// As connect(2) wants it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

// Looks a host name up, which may take seconds. `unavailable`: not found.
Result<SocketAddress> resolve(const Address& address);

// For one thread at a time. Unusable after its first error. Real time: a ManualClock would never
// reach a deadline while the kernel waits.
class Connection {
 public:
  // `unavailable`, or `cancelled` at the deadline.
  static Result<std::unique_ptr<Connection>> connect(const SocketAddress& address,
                                                     base::TimePoint deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Queues one command.
  void append(std::initializer_list<std::string_view> arguments);
  void begin_command(std::size_t arguments);
  void add_argument(std::string_view bytes, std::string_view more = {});

  // Sends what is queued and waits for the next reply; one for each command, in their order. A
  // reply that is an error is a reply. `unavailable`: the connection broke or what came is no
  // reply; `cancelled`: the deadline passed.
  Result<Reply> next(base::TimePoint deadline);
  // Whether something came that nobody asked for, or the server closed the connection. REQUIRES:
  // every reply was taken.
  bool is_off() const;

 private:
  explicit Connection(int socket);
  // Waits until `events` (poll) are possible.
  Status wait(short events, base::TimePoint deadline) const;
  Status send_some();
  Status receive_some();

  struct FreeReader {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  int socket_;
  std::unique_ptr<redisReader, FreeReader> reader_;
  std::string out_;
  std::size_t sent_ = 0;  // of out_
};

}  // namespace varve::cache::redis
