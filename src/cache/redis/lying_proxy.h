// Stands between a client and a server and falsifies what the server answers.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.h"
#include "store/test_stores.h"

namespace varve::cache::redis {

// While `lies` is above 0, so many of 1,000 answers have a wrong byte somewhere. The next
// `repeats` answers come twice.
class LyingProxy {
 public:
  LyingProxy(std::string server, std::uint64_t seed)
      : server_(std::move(server)), random_(seed), listener_(make_socket()) {
    const sockaddr_un name = name_of(socket());
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    thread_ = std::thread([this] { run(); });
  }
  LyingProxy(const LyingProxy&) = delete;
  LyingProxy& operator=(const LyingProxy&) = delete;
  ~LyingProxy() {
    stop_ = true;
    thread_.join();
    for (const auto& [client, server] : pairs_) {
      ::close(client);
      ::close(server);
    }
    ::close(listener_);
  }

  std::string socket() const { return directory_.path("p"); }
  std::atomic<std::uint32_t> lies{0};
  std::atomic<std::uint64_t> told{0};
  std::atomic<std::uint32_t> repeats{0};

 private:
  static int make_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }
  static sockaddr_un name_of(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), std::min(path.size(), sizeof(name.sun_path) - 1));
    return name;
  }

  void run() {
    while (!stop_) {
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      for (const auto& [client, server] : pairs_) {
        polled.push_back({client, POLLIN, 0});
        polled.push_back({server, POLLIN, 0});
      }
      if (::poll(polled.data(), polled.size(), 10) <= 0) continue;
      std::vector<std::pair<int, int>> alive;
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        const auto [client, server] = pairs_[i];
        const bool open = (polled[1 + 2 * i].revents == 0 || pass(client, server, false)) &&
                          (polled[2 + 2 * i].revents == 0 || pass(server, client, true));
        if (open) {
          alive.push_back(pairs_[i]);
        } else {
          ::close(client);
          ::close(server);
        }
      }
      pairs_ = std::move(alive);
      if (polled[0].revents != 0) accept_one();
    }
  }
  void accept_one() {
    const int client = ::accept(listener_, nullptr, nullptr);
    const int server = make_socket();
    const sockaddr_un name = name_of(server_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) {
      pairs_.emplace_back(client, server);
      return;
    }
    ::close(client);
    ::close(server);
  }
  bool pass(int from, int to, bool answer) {
    std::array<char, 65'536> bytes;
    const ssize_t got = ::recv(from, bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    if (answer && random_.below(1'000) < lies) {
      const auto at = random_.below(static_cast<std::uint64_t>(got));
      bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 + random_.below(255)));
      ++told;
    }
    std::string passed(bytes.data(), static_cast<std::size_t>(got));
    if (answer && repeats > 0) {
      --repeats;
      passed += passed;
    }
    return ::send(to, passed.data(), passed.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(passed.size());
  }

  const std::string server_;
  base::Random random_;
  store::TempDir directory_{store::Medium::memory};
  const int listener_;
  std::atomic<bool> stop_{false};
  std::vector<std::pair<int, int>> pairs_;
  std::thread thread_;
};

}  // namespace varve::cache::redis
