#include "engine/owner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <vector>

namespace varve::engine {
namespace {

struct Identity {
  std::string host, boot, pid_namespace;
  int pid = 0;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> fields(1);
  for (const char c : text) {
    if (c == ':') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

std::optional<Identity> parse(const std::string& owner) {
  const auto fields = split(owner);
  if (fields.size() < 4) return std::nullopt;
  return Identity{fields[0], fields[1], fields[2], std::atoi(fields[3].c_str())};
}

// Names that many hosts have.
bool is_telling(const std::string& host) {
  return !host.empty() && host != "localhost" && host != "unknown";
}

}  // namespace

std::string process_identity() {
  char host[65] = "unknown";
  ::gethostname(host, sizeof(host) - 1);
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  // "pid:[4026531836]"
  char link[64] = "";
  const auto size = ::readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
  std::string pid_namespace;
  for (const char c : std::string(link, size > 0 ? static_cast<std::size_t>(size) : 0)) {
    if (c >= '0' && c <= '9') pid_namespace += c;
  }
  return fmt::format("{}:{}:{}:{}", host, boot.substr(0, 36), pid_namespace, ::getpid());
}

bool process_is_gone(const std::string& owner, const std::string& self) {
  const auto theirs = parse(owner);
  const auto ours = parse(self);
  if (!theirs || !ours || theirs->boot.empty() || ours->boot.empty()) return false;
  if (theirs->boot != ours->boot) return theirs->host == ours->host && is_telling(ours->host);
  if (theirs->pid_namespace.empty() || theirs->pid_namespace != ours->pid_namespace) return false;
  return theirs->pid > 0 && ::kill(theirs->pid, 0) != 0 && errno == ESRCH;
}

OwnJobs::Running::Running(OwnJobs& jobs) : jobs_(jobs) {
  std::lock_guard lock(jobs_.mutex_);
  ++jobs_.registering_;
}

OwnJobs::Running::~Running() {
  std::lock_guard lock(jobs_.mutex_);
  if (is_registered_) {
    jobs_.ids_.erase(id_);
  } else {
    --jobs_.registering_;
  }
}

void OwnJobs::Running::registered(std::uint64_t id) {
  std::lock_guard lock(jobs_.mutex_);
  --jobs_.registering_;
  jobs_.ids_.insert(id);
  id_ = id;
  is_registered_ = true;
}

bool OwnJobs::may_run(std::uint64_t id) const {
  std::lock_guard lock(mutex_);
  return registering_ > 0 || ids_.contains(id);
}

}  // namespace varve::engine
