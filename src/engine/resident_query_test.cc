// A query of a pinned index allocates nothing and takes no lock. Counted under ASan, whose runtime
// tells of every allocation; other builds skip it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/section_cache_test.h"

#if defined(__SANITIZE_ADDRESS__)

#include <dlfcn.h>
#include <pthread.h>

// <sanitizer/allocator_interface.h>, which not every compiler brings with its runtime.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           std::size_t),
                                                         void (*on_free)(const volatile void*));

namespace varve::engine {
namespace {

thread_local bool is_counting = false;
thread_local std::uint64_t allocations = 0, locks = 0;

void count_allocation(const volatile void*, std::size_t) {
  if (is_counting) ++allocations;
}
void ignore_free(const volatile void*) {}

template <typename Function>
Function* next_symbol(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace
}  // namespace varve::engine

// These stand before those of the C library for everything in this process.
extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto real = varve::engine::next_symbol<int(pthread_mutex_t*)>("pthread_mutex_lock");
  if (varve::engine::is_counting) ++varve::engine::locks;
  return real(mutex);
}
extern "C" int pthread_rwlock_rdlock(pthread_rwlock_t* mutex) noexcept {
  static const auto real =
      varve::engine::next_symbol<int(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
  if (varve::engine::is_counting) ++varve::engine::locks;
  return real(mutex);
}

namespace varve::engine {
namespace {

struct Counted {
  std::uint64_t allocations = 0, locks = 0;
};

// Of the queries with these options, asked twice before.
Counted counted(const Snapshot& snapshot, const QueryOptions& options) {
  QueryResult result;
  const auto ask_all = [&] {
    for (std::size_t i = 0; i < kRows; i += 100) {
      const auto query = Rows::row(i);
      is_counting = true;
      const Status asked = snapshot.query_into(query, options, result);
      is_counting = false;
      ASSERT_TRUE(asked) << asked.error().message;
      ASSERT_EQ(result.hits.size(), options.k);
    }
  };
  ask_all();
  ask_all();
  allocations = locks = 0;
  ask_all();
  return {allocations, locks};
}

class ResidentQuery : public testing::TestWithParam<Metric> {
 protected:
  static void SetUpTestSuite() {
    ASSERT_NE(__sanitizer_install_malloc_and_free_hooks(count_allocation, ignore_free), 0);
  }
};
INSTANTIATE_TEST_SUITE_P(Metrics, ResidentQuery,
                         testing::Values(Metric::euclidean, Metric::cosine));

TEST_P(ResidentQuery, AllocatesNothingAndTakesNoLock) {
  CachedProcess process(imported(GetParam()), {});
  const auto index = process.index();
  ASSERT_TRUE(index->pin({}));
  const auto snapshot = *index->snapshot();
  // By codes, and by all rows, as the recall that is wanted takes.
  for (const auto nprobe : {std::optional<std::uint32_t>(16), std::optional<std::uint32_t>()}) {
    for (const bool metadata : {false, true}) {
      for (const std::uint32_t k : {1U, 10U, 100U}) {
        QueryOptions options;
        options.k = k;
        options.nprobe = nprobe;
        options.include_metadata = metadata;
        const Counted found = counted(*snapshot, options);
        EXPECT_EQ(found.allocations, 0U) << k << metadata << nprobe.has_value();
        EXPECT_EQ(found.locks, 0U) << k << metadata << nprobe.has_value();
      }
    }
  }
}

TEST_P(ResidentQuery, AllocatesNothingAndTakesNoLockWithAFilter) {
  CachedProcess process(imported(GetParam()), {});
  const auto index = process.index();
  ASSERT_TRUE(index->pin({}));
  const auto snapshot = *index->snapshot();
  for (const std::size_t rows : {kRows / 2, kRows / 100}) {
    QueryOptions options;
    options.filter = fmt::format(R"({{"row":{{"$lt":{}}}}})", rows);
    const Counted found = counted(*snapshot, options);
    EXPECT_EQ(found.allocations, 0U) << rows;
    EXPECT_EQ(found.locks, 0U) << rows;
  }
}

TEST_P(ResidentQuery, IsToldFromOneThatIsNot) {
  CachedProcess process(imported(GetParam()), {});
  const auto snapshot = *process.index()->snapshot();
  EXPECT_GT(counted(*snapshot, {}).allocations, 0U) << "the count counts";
}

}  // namespace
}  // namespace varve::engine

#endif
