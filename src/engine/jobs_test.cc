// Jobs that other processes run, abandon or abort.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/collect.h"
#include "engine/compact.h"
#include "engine/core.h"
#include "engine/owner.h"
#include "engine/test_env.h"
#include "store/fault.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const IndexName kName{"test", "index"};
const IndexConfig kConfig{.dim = 2, .metric = Metric::euclidean};

std::vector<VectorRecord> rows(std::size_t count) {
  std::vector<VectorRecord> records(count);
  for (std::size_t i = 0; i < count; ++i) {
    records[i] = {fmt::format("k{}", i), {static_cast<float>(i % 97), 1}, {}};
  }
  return records;
}

Result<ImportReport> import(Index& index, std::size_t count, ImportOptions options = {}) {
  VectorSource source(rows(count));
  return index.import(source, options);
}

TEST(Owner, AProcessIsGoneOnlyIfThatIsCertain) {
  const std::string self = process_identity();
  EXPECT_FALSE(process_is_gone(self));
  EXPECT_FALSE(process_is_gone(self + ":12ab34"));
  EXPECT_LE(self.size() + 7, 128U);
  // No process has this id: /proc/sys/kernel/pid_max is at most 2^22.
  constexpr const char* kFreePid = "99999999";
  const auto owner = [](const char* host, const char* boot, const char* space, const char* pid) {
    return fmt::format("{}:{}:{}:{}:12ab34", host, boot, space, pid);
  };
  const std::string here = owner("host", "boot", "11", "1");
  EXPECT_TRUE(process_is_gone(owner("host", "boot", "11", kFreePid), here));
  EXPECT_TRUE(process_is_gone(owner("renamed", "boot", "11", kFreePid), here));
  EXPECT_FALSE(process_is_gone(owner("host", "boot", "11", "1"), here));
  // Booted since.
  EXPECT_TRUE(process_is_gone(owner("host", "earlier", "11", "1"), here));
  EXPECT_FALSE(process_is_gone(owner("elsewhere", "other", "11", kFreePid), here));
  EXPECT_FALSE(process_is_gone(owner("localhost", "earlier", "11", "1"),
                               owner("localhost", "boot", "11", "1")));
  // Another container: its ids mean something else.
  EXPECT_FALSE(process_is_gone(owner("host", "boot", "22", kFreePid), here));
  EXPECT_FALSE(process_is_gone(owner("host", "boot", "", kFreePid), here));
  EXPECT_FALSE(process_is_gone("host:boot:99999999", here));
  EXPECT_FALSE(process_is_gone("", here));
}

TEST(Jobs, AnImportThatCouldNotTakeItselfOffTheListHoldsNothingUp) {
  auto memory = store::make_memory_store(test_clock());
  auto fault = std::make_shared<store::FaultStore>(memory, test_clock(), 1, store::FaultPlan{});
  Process process(fault, 1);
  auto index = *process.database().create_index(kName, kConfig, false);
  store::FaultPlan outage;
  outage.fail_before = 1;
  ImportOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.phase == "assign") fault->set_plan(outage);
  };
  ASSERT_FALSE(import(*index, 500, options));
  fault->set_plan({});
  const auto report = import(*index, 500);
  ASSERT_TRUE(report) << report.error().message;
}

TEST(Jobs, AnotherProcessCanAbortTheJobsOfOneThatIsGone) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 2), dead(memory, 3);
  auto index = *process.database().create_index(kName, kConfig, false);
  Core core(dead.env(), *format::Uuid::from_hex(index->info()->uuid));
  ASSERT_TRUE(register_job(core.env, core.names, core.index, format::JobKind::import, 0));
  const auto refused = import(*index, 10);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_THAT(refused.error().hint, HasSubstr("--abort-jobs"));
  ASSERT_TRUE(index->compact({}));
  ASSERT_FALSE(import(*index, 10));
  CompactOptions options;
  options.abort_jobs = true;
  ASSERT_TRUE(index->compact(options));
  EXPECT_TRUE(import(*index, 10));
}

TEST(Jobs, AJobThatRunsHereIsNotAborted) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 4);
  auto index = *process.database().create_index(kName, kConfig, false);
  ImportOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.phase != "assign") return;
    CompactOptions abort_jobs;
    abort_jobs.abort_jobs = true;
    ASSERT_TRUE(index->compact(abort_jobs));
  };
  const auto report = import(*index, 500, options);
  ASSERT_TRUE(report) << report.error().message;
}

TEST(Jobs, AnImportThatWasAbortedSaysSo) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 5), other(memory, 6);
  auto index = *process.database().create_index(kName, kConfig, false);
  auto theirs = *other.database().open_index(kName);
  ImportOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.phase != "assign") return;
    CompactOptions abort_jobs;
    abort_jobs.abort_jobs = true;
    ASSERT_TRUE(theirs->compact(abort_jobs));
  };
  const auto report = import(*index, 500, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(report.error().message, HasSubstr("aborted"));
}

TEST(Jobs, ARebuildLeavesTheClustersOfARunningImportAlone) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 7), other(memory, 8);
  auto index = *process.database().create_index(kName, kConfig, false);
  ASSERT_TRUE(import(*index, 500));
  Core core(other.env(), *format::Uuid::from_hex(index->info()->uuid));
  ImportOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.phase != "assign") return;
    base::Turn::Held held(core.maintenance);
    const auto rebuilt = rebuild_held(core, {});
    ASSERT_TRUE(rebuilt) << rebuilt.error().message;
    EXPECT_FALSE(*rebuilt);
  };
  const auto report = import(*index, 600, options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(index->fsck({})->findings, IsEmpty());
}

// The import begins after the rebuild has registered, and ends before it commits.
TEST(Jobs, ARebuildGivesWayToAnImportThatBeginsMeanwhile) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 9), other(memory, 10);
  auto index = *process.database().create_index(kName, kConfig, false);
  ASSERT_TRUE(import(*index, 500));
  Core core(other.env(), *format::Uuid::from_hex(index->info()->uuid));
  std::uint64_t listed = 0;
  const ProgressSink sink = [&](const Progress&) {
    if (listed != 0) return;
    const auto job =
        register_job(process.env(), core.names, core.index, format::JobKind::import, 0);
    ASSERT_TRUE(job);
    listed = job->id;
  };
  base::Turn::Held held(core.maintenance);
  const std::uint64_t clusters = index->info()->clusters;
  const auto rebuilt = rebuild_held(core, sink);
  ASSERT_NE(listed, 0U);
  ASSERT_TRUE(rebuilt) << rebuilt.error().message;
  EXPECT_FALSE(*rebuilt);
  EXPECT_EQ(index->info()->clusters, clusters);
}

TEST(Collect, SealsOfEndedEpochsAreNotReadAgain) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 11), other(memory, 12);
  auto index = *process.database().create_index(kName, kConfig, false);
  auto theirs = *other.database().open_index(kName);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(index->put(rows(1)));
    ASSERT_TRUE(theirs->put(rows(1)));
  }
  auto hooked = std::make_shared<HookStore>(memory);
  Process compactor(hooked, 13);
  auto compacted = *compactor.database().open_index(kName);
  ASSERT_TRUE(compacted->compact({}));
  int reads = 0;
  hooked->before = [&](std::string_view method, std::string_view key) {
    reads += method == "get" && key.find("/wal/") != std::string_view::npos;
  };
  ASSERT_TRUE(compacted->compact({}));
  EXPECT_LE(reads, 2);
  // They fence stalled writers for ever.
  int left = 0;
  for (const auto& [key, object] : memory->objects()) {
    left += key.find("/wal/") != std::string::npos;
  }
  EXPECT_GE(left, 20);
  EXPECT_THAT(compacted->fsck({})->findings, IsEmpty());
}

// Only then is the commit that retired them safe, whoever made it.
TEST(Collect, NothingIsRemovedBeforeHeadIsConfirmed) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 14);
  auto index = *process.database().create_index(kName, kConfig, false);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(index->put(rows(3)));
    ASSERT_TRUE(index->fold());
  }
  auto hooked = std::make_shared<HookStore>(memory);
  Process collector(hooked, 15);
  Core core(collector.env(), *format::Uuid::from_hex(index->info()->uuid));
  std::string order;
  hooked->before = [&](std::string_view method, std::string_view) {
    if (method == "replace" || method == "remove") order += fmt::format("{} ", method);
  };
  ASSERT_TRUE(collect_retired(core, std::chrono::milliseconds(0)));
  EXPECT_EQ(order, "replace remove replace remove ");
}

TEST(Index, AClosedOneWritesNothingMore) {
  Process process(store::make_memory_store(test_clock()), 16);
  auto index = *process.database().create_index(kName, kConfig, false);
  ASSERT_TRUE(index->put(rows(3)));
  index->close();
  EXPECT_EQ(index->put(rows(1)).error().kind, ErrorKind::cancelled);
  EXPECT_EQ(import(*index, 5).error().kind, ErrorKind::cancelled);
  EXPECT_EQ(index->fold().error().kind, ErrorKind::cancelled);
  EXPECT_EQ(index->compact({}).error().kind, ErrorKind::cancelled);
  EXPECT_EQ(index->list("", 10)->keys.size(), 3U);
}

}  // namespace
}  // namespace varve::engine
