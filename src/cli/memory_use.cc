#include "cli/memory_use.h"

#include <sys/resource.h>

#include <fstream>
#include <string>

namespace varve::cli {

std::uint64_t peak_memory_bytes() {
  // getrusage keeps the peak of the parent across fork and exec; the high-water mark does not.
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  // Linux counts in KiB.
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace varve::cli
