#include "engine/memory_limit.h"

#include <fstream>

#include "engine/section_cache_test.h"

namespace varve::engine {
namespace {

TEST(DefaultMemory, IsThatOfTheControlGroup) {
  Folder root;
  const auto write = [&](const std::string& path, const std::string& text) {
    const auto whole = std::filesystem::path(root.path()) / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  };
  const std::uint64_t machine = memory_bytes(root.path());
  EXPECT_GT(machine, 100'000'000U);
  write("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(memory_bytes(root.path()), machine);
  write("proc/self/cgroup", "0::/slice/job\n");
  write("sys/fs/cgroup/slice/memory.max", "80000000\n");
  EXPECT_EQ(memory_bytes(root.path()), 80'000'000U);
  write("sys/fs/cgroup/slice/job/memory.max", "70000000\n");
  EXPECT_EQ(memory_bytes(root.path()), 70'000'000U);
  write("proc/self/cgroup", "5:cpu:/else\n4:memory:/job\n");
  EXPECT_EQ(memory_bytes(root.path()), machine);
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "60000000\n");
  EXPECT_EQ(memory_bytes(root.path()), 60'000'000U);
}

}  // namespace
}  // namespace varve::engine
