#include "cli/machine.h"

#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

#include "cli/version.h"
#include "kernels/distance.h"

namespace varve::cli {
namespace {

#ifdef __clang__
constexpr const char* kCompiler = __VERSION__;
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::uint64_t memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages < 0 || page_bytes < 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

}  // namespace

Json machine_json() {
  return Json{{"cpu", cpu_name()},
              {"cores", std::thread::hardware_concurrency()},
              {"memory_bytes", memory_bytes()},
              {"compiler", kCompiler},
              {"kernels", std::string(kernels::active_target())},
              {"version", VARVE_VERSION},
              {"commit", built_commit()}};
}

}  // namespace varve::cli
