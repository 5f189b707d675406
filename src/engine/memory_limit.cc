#include "engine/memory_limit.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>

namespace varve::engine {
namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

// "max", and a file that is missing, are no limit.
std::uint64_t limit_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t bytes = 0;
  return file >> bytes ? bytes : kNoLimit;
}

// The least of the group's and of all those it is in.
std::uint64_t limit_of(const std::string& folder, std::string group, const std::string& file) {
  std::uint64_t bytes = limit_in(folder + file);
  while (group.size() > 1) {
    bytes = std::min(bytes, limit_in(folder + group + file));
    group.resize(group.rfind('/'));
  }
  return bytes;
}

std::uint64_t machine_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

}  // namespace

std::uint64_t memory_bytes(const std::string& root) {
  const std::string groups = root + "/sys/fs/cgroup";
  // Within a container the own group is the root of what is visible.
  std::uint64_t limit = std::min(limit_in(groups + "/memory.max"),
                                 limit_in(groups + "/memory/memory.limit_in_bytes"));
  std::ifstream file(root + "/proc/self/cgroup");
  // number:controllers:group
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const std::string group = line.substr(second + 1);
    if (!group.starts_with('/')) continue;
    if (controllers == ",,") limit = std::min(limit, limit_of(groups, group, "/memory.max"));
    if (controllers.find(",memory,") == std::string::npos) continue;
    limit = std::min(limit, limit_of(groups + "/memory", group, "/memory.limit_in_bytes"));
  }
  return std::min(limit, machine_bytes());
}

}  // namespace varve::engine
