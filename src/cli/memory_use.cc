#include "cli/memory_use.h"

#include <sys/resource.h>

namespace varve::cli {

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  // Linux counts in KiB.
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace varve::cli
