#include "cache/redis/connection.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

namespace varve::cache::redis {
namespace {

tl::unexpected<Error> broken(std::string_view what, int error) {
  return fail(ErrorKind::unavailable,
              fmt::format("redis: {}: {}", what, std::generic_category().message(error)));
}

// No command that we send has a longer answer; hiredis would reserve memory for what is promised.
constexpr long long kElementsMax = 65'536;

redisReplyObjectFunctions& plain_functions() {
  static redisReplyObjectFunctions functions = [] {
    redisReader* reader = redisReaderCreate();
    redisReplyObjectFunctions found = *reader->fn;
    redisReaderFree(reader);
    return found;
  }();
  return functions;
}

redisReplyObjectFunctions* bounded_functions() {
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions bounded = plain_functions();
    bounded.createArray = [](const redisReadTask* task, auto elements) -> void* {
      if (static_cast<long long>(elements) > kElementsMax) return nullptr;
      return plain_functions().createArray(task, elements);
    };
    return bounded;
  }();
  return &functions;
}

}  // namespace

Result<SocketAddress> resolve(const Address& address) {
  SocketAddress found;
  if (!address.unix_path.empty()) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.unix_path.data(),
                std::min(address.unix_path.size(), sizeof(name.sun_path) - 1));
    std::memcpy(&found.storage, &name, sizeof(name));
    found.bytes = sizeof(name);
    return found;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  if (error != 0 || list == nullptr) {
    return fail(ErrorKind::unavailable,
                fmt::format("redis: host '{}': {}", address.host, ::gai_strerror(error)));
  }
  std::memcpy(&found.storage, list->ai_addr, list->ai_addrlen);
  found.bytes = list->ai_addrlen;
  ::freeaddrinfo(list);
  return found;
}

Connection::Connection(int socket)
    : socket_(socket), reader_(redisReaderCreateWithFunctions(bounded_functions())) {}

Connection::~Connection() { ::close(socket_); }

Result<std::unique_ptr<Connection>> Connection::connect(const SocketAddress& address,
                                                        base::TimePoint deadline) {
  const int family = address.storage.ss_family;
  const int socket = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return broken("socket", errno);
  std::unique_ptr<Connection> made(new Connection(socket));
  const int on = 1;
  if (family != AF_UNIX) ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) == 0) {
    return made;
  }
  // A Unix socket whose queue is full answers EAGAIN: as good as down.
  if (errno != EINPROGRESS) return broken("connect", errno);
  VARVE_CHECK(made->wait(POLLOUT, deadline));
  int error = 0;
  socklen_t bytes = sizeof(error);
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &bytes);
  if (error != 0) return broken("connect", error);
  return made;
}

void Connection::begin_command(std::size_t arguments) {
  fmt::format_to(std::back_inserter(out_), "*{}\r\n", arguments);
}

void Connection::add_argument(std::string_view bytes, std::string_view more) {
  fmt::format_to(std::back_inserter(out_), "${}\r\n", bytes.size() + more.size());
  out_ += bytes;
  out_ += more;
  out_ += "\r\n";
}

void Connection::append(std::initializer_list<std::string_view> arguments) {
  begin_command(arguments.size());
  for (const std::string_view argument : arguments) add_argument(argument);
}

Result<Reply> Connection::next(base::TimePoint deadline) {
  for (;;) {
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) {
      return fail(ErrorKind::unavailable,
                  fmt::format("redis: what came is no reply: {}", reader_->errstr));
    }
    if (reply != nullptr) return Reply(static_cast<redisReply*>(reply));
    const bool sends = sent_ < out_.size();
    // A server that stops reading until its replies are read must not make us wait for each other.
    VARVE_CHECK(wait(static_cast<short>(sends ? POLLIN | POLLOUT : POLLIN), deadline));
    if (sends) VARVE_CHECK(send_some());
    VARVE_CHECK(receive_some());
  }
}

bool Connection::is_off() const {
  if (reader_->pos < reader_->len || reader_->ridx >= 0) return true;
  char byte = 0;
  const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EINTR);
}

Status Connection::wait(short events, base::TimePoint deadline) const {
  for (;;) {
    const base::Duration left = deadline - base::system_clock().now();
    if (left <= base::Duration::zero()) {
      return fail(ErrorKind::cancelled, "redis: no answer in time");
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec span{static_cast<time_t>(seconds.count()),
                        static_cast<long>((left - seconds).count())};
    pollfd polled{socket_, events, 0};
    const int ready = ::ppoll(&polled, 1, &span, nullptr);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return broken("poll", errno);
  }
}

Status Connection::send_some() {
  const ssize_t sent = ::send(socket_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno == EAGAIN || errno == EINTR) return {};
    return broken("send", errno);
  }
  sent_ += static_cast<std::size_t>(sent);
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
  }
  return {};
}

Status Connection::receive_some() {
  std::array<char, std::size_t{64} << 10> bytes;
  const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (got == 0) return fail(ErrorKind::unavailable, "redis: the server closed the connection");
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return {};
    return broken("receive", errno);
  }
  if (redisReaderFeed(reader_.get(), bytes.data(), static_cast<std::size_t>(got)) != REDIS_OK) {
    return fail(ErrorKind::unavailable, fmt::format("redis: {}", reader_->errstr));
  }
  return {};
}

}  // namespace varve::cache::redis
