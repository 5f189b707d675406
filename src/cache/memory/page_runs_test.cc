#include "cache/memory/page_runs.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"

namespace varve::cache {
namespace {

struct Run {
  void* begin = nullptr;
  std::size_t bytes = 0;
  unsigned char fill = 0;

  bool is_whole() const {
    const auto* at = static_cast<const unsigned char*>(begin);
    return at[0] == fill && std::memcmp(at, at + 1, bytes - 1) == 0;
  }
};

void take_and_give(std::uint64_t seed) {
  base::Random random(seed);
  std::vector<Run> runs;
  for (int step = 0; step < 2000; ++step) {
    if (runs.size() < 20 || random.below(2) == 0) {
      Run run;
      const std::size_t wanted = 1 + random.below(300'000);
      run.begin = take_pages(wanted, run.bytes);
      if (run.begin == nullptr) GTEST_SKIP() << "a sanitizer watches every block";
      ASSERT_GE(run.bytes, wanted);
      ASSERT_LT(run.bytes, wanted + 4096);
      // Fresh pages: whatever was there before went back to the kernel.
      ASSERT_TRUE(run.is_whole());
      run.fill = static_cast<unsigned char>(1 + random.below(255));
      std::memset(run.begin, run.fill, run.bytes);
      runs.push_back(run);
      continue;
    }
    std::swap(runs[random.below(runs.size())], runs.back());
    ASSERT_TRUE(runs.back().is_whole());
    give_pages(runs.back().begin, runs.back().bytes);
    runs.pop_back();
  }
  for (const Run& run : runs) {
    EXPECT_TRUE(run.is_whole());
    give_pages(run.begin, run.bytes);
  }
}

TEST(PageRuns, NeverOverlapAndComeEmpty) {
  SCOPED_TRACE("seed 3");
  take_and_give(3);
}

TEST(PageRuns, ServeManyThreads) {
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) threads.emplace_back([t] { take_and_give(100 + t); });
  for (auto& thread : threads) thread.join();
}

TEST(PageRuns, TakesBackWhatIsLockedIntoMemory) {
  std::size_t bytes = 0;
  void* run = take_pages(64 << 10, bytes);
  if (run == nullptr) GTEST_SKIP() << "a sanitizer watches every block";
  if (::mlock(run, bytes) != 0) {
    give_pages(run, bytes);
    GTEST_SKIP() << "the process may not lock memory";
  }
  give_pages(run, bytes);
  std::size_t again = 0;
  EXPECT_EQ(take_pages(bytes, again), run);
  ::munlock(run, bytes);
  give_pages(run, again);
}

TEST(PageRuns, AreAsLongAsTheyAreAskedToBe) {
  std::size_t bytes = 0;
  void* large = take_pages(std::size_t{300} << 20, bytes);
  if (large == nullptr) GTEST_SKIP() << "a sanitizer watches every block";
  EXPECT_EQ(bytes, std::size_t{300} << 20);
  give_pages(large, bytes);
}

}  // namespace
}  // namespace varve::cache
