// A redis-server of its own for a test, on a Unix socket in a directory that goes away.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>

#include "base/assert.h"
#include "cache/redis/connection.h"
#include "store/test_stores.h"

namespace varve::cache::redis {

class TestServer {
 public:
  static bool is_installed() {
    return std::system("command -v redis-server >/dev/null 2>&1") == 0;  // NOLINT: no input
  }

  TestServer() : port_(free_port()) { start(); }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer() { kill(); }

  std::string socket() const { return directory_.path("s"); }
  std::string url() const { return "unix://" + socket(); }
  std::string port() const { return port_; }

  // What SAVE wrote last is there again.
  void start() {
    process_ = ::fork();
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const std::string path = socket();
      const std::string folder = directory_.path();
      const char* arguments[] = {
          "redis-server", "--port",    port_.c_str(), "--unixsocket", path.c_str(), "--dir",
          folder.c_str(), "--logfile", "/dev/null",   "--save",       "",           nullptr};
      ::execvp(arguments[0], const_cast<char**>(arguments));
      ::_exit(127);
    }
    for (int i = 0; i < 2'000; ++i) {
      if (command({"PING"}) == "PONG") return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    FAIL() << "redis-server did not start";
  }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
  }
  void hang() const { ::kill(process_, SIGSTOP); }
  void wake() const {
    ::kill(process_, SIGCONT);
    for (int i = 0; i < 2'000 && command({"PING"}) != "PONG"; ++i) {
    }
  }

  // The answer as text, "" if there was none.
  std::string command(std::initializer_list<std::string_view> arguments) const {
    Address address;
    address.unix_path = socket();
    const auto until = base::system_clock().now() + std::chrono::seconds(2);
    auto connection = Connection::connect(*resolve(address), until);
    if (!connection) return {};
    (*connection)->append(arguments);
    const auto reply = (*connection)->next(until);
    if (!reply) return {};
    if ((*reply)->type == REDIS_REPLY_INTEGER) return std::to_string((*reply)->integer);
    return (*reply)->str == nullptr ? std::string() : std::string((*reply)->str, (*reply)->len);
  }

 private:
  // Free a moment ago.
  static std::string free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(name);
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&name), bytes), 0);
    EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &bytes), 0);
    ::close(socket);
    return std::to_string(ntohs(name.sin_port));
  }

  store::TempDir directory_{store::Medium::memory};
  const std::string port_;
  pid_t process_ = 0;
};

// A fixture of tests that need it.
class WithServer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!TestServer::is_installed()) GTEST_SKIP() << "redis-server is not installed: tools/setup";
    server_ = std::make_unique<TestServer>();
  }
  std::unique_ptr<TestServer> server_;
};

}  // namespace varve::cache::redis
