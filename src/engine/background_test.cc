// The tail is bounded, and what runs unasked says how it went.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "engine/core.h"
#include "engine/head_io.h"
#include "engine/test_env.h"
#include "store/fault.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const IndexName kName{"test", "index"};
const IndexConfig kConfig{.dim = 2, .metric = Metric::euclidean};

Status put(Index& index, const std::string& key) {
  const std::vector<VectorRecord> records{{key, {1, 2}, {}}};
  VARVE_CHECK(index.put(records));
  return {};
}

std::shared_ptr<Index> create(Process& process) {
  return *process.database().create_index(kName, kConfig, false);
}

TEST(Tail, AFullOneRefusesWritesUntilSomebodyFoldsIt) {
  auto memory = store::make_memory_store(test_clock());
  for (const bool by_bytes : {false, true}) {
    memory = store::make_memory_store(test_clock());
    Process process(memory, 1, [&](Env& env) {
      if (by_bytes) {
        env.tail_bytes_max = 3 * 40;  // of each put: 1 of the key, 8 of the vector, 32
      } else {
        env.tail_ops_max = 3;
      }
    });
    auto index = create(process);
    for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(put(*index, key));
    const auto refused = put(*index, "d");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::overloaded);
    EXPECT_THAT(refused.error().hint, HasSubstr("compact"));
    EXPECT_EQ(index->list("", 10)->keys.size(), 3U);
    Process other(memory, 2);
    ASSERT_TRUE((*other.database().open_index(kName))->fold());
    EXPECT_TRUE(put(*index, "d"));
  }
}

TEST(Writer, TheQueueOfWritesIsBounded) {
  auto hooked = std::make_shared<HookStore>(store::make_memory_store(test_clock()));
  Process process(hooked, 3, [](Env& env) { env.queue_bytes_max = 1; });
  auto index = create(process);
  ASSERT_TRUE(put(*index, "first"));
  std::vector<std::thread> threads;
  std::promise<ErrorKind> refused;
  auto refusal = refused.get_future();
  // While one log object is under way, of two more writes one may wait.
  hooked->before = [&](std::string_view method, std::string_view key) {
    if (method != "create" || key.find("/wal/") == std::string_view::npos) return;
    if (!threads.empty()) return;
    for (const char* name : {"a", "b"}) {
      threads.emplace_back([&, name] {
        const auto done = put(*index, name);
        if (!done) refused.set_value(done.error().kind);
      });
    }
    const auto ready = refusal.wait_for(std::chrono::seconds(20));
    EXPECT_EQ(ready, std::future_status::ready);
  };
  EXPECT_TRUE(put(*index, "c"));
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(refusal.get(), ErrorKind::overloaded);
  EXPECT_EQ(index->list("", 10)->keys.size(), 3U);
}

TEST(Background, AFoldBeginsByBytesAndByObjectsToo) {
  for (const bool by_bytes : {false, true}) {
    auto pool = base::make_inline_pool();
    Process process(store::make_memory_store(test_clock()), 4, [&](Env& env) {
      env.background = pool.get();
      env.fold_ops_min = 1'000'000;
      if (by_bytes)
        env.fold_bytes_min = 3 * 40;
      else
        env.fold_objects_min = 4;  // with the seal of epoch 0
    });
    auto index = create(process);
    ASSERT_TRUE(put(*index, "a"));
    ASSERT_TRUE(put(*index, "b"));
    EXPECT_EQ(index->info()->tail_ops, 2U);
    ASSERT_TRUE(put(*index, "c"));
    EXPECT_EQ(index->info()->tail_ops, 0U);
    index->close();
  }
}

TEST(Background, AFoldThatFailsIsReportedAndNotRepeatedAtEachWrite) {
  auto memory = store::make_memory_store(test_clock());
  auto fault = std::make_shared<store::FaultStore>(memory, test_clock(), 1, store::FaultPlan{});
  auto pool = base::make_inline_pool();
  Process process(fault, 5, [&](Env& env) {
    env.background = pool.get();
    env.fold_ops_min = 1;
  });
  auto index = create(process);
  ASSERT_TRUE(put(*index, "a"));
  ASSERT_EQ(index->info()->tail_ops, 0U);
  store::FaultPlan outage;
  outage.fail_before = 1;
  outage.applies_to = [](std::string_view key) {
    return key.find("/d/") != std::string_view::npos;
  };
  fault->set_plan(outage);
  ASSERT_TRUE(put(*index, "b"));
  const auto failures = fault->counts().failed_before;
  EXPECT_GT(failures, 0U);
  ASSERT_TRUE(put(*index, "c"));
  EXPECT_EQ(fault->counts().failed_before, failures);
  fault->set_plan({});
  EXPECT_THAT(index->info()->background_error, HasSubstr("unavailable"));
  test_clock().advance(std::chrono::minutes(10));
  ASSERT_TRUE(put(*index, "d"));
  EXPECT_THAT(index->info()->background_error, IsEmpty());
  EXPECT_EQ(index->info()->tail_ops, 0U);
  index->close();
}

// Under a sanitizer this shows that the last run does not touch an index that is gone.
TEST(Background, AnIndexMayGoWhileItsFoldEnds) {
  auto memory = store::make_memory_store(test_clock());
  auto pool = base::make_thread_pool(1);
  Process process(memory, 6, [&](Env& env) {
    env.background = pool.get();
    env.fold_ops_min = 1;
  });
  create(process)->close();
  for (int i = 0; i < 50; ++i) {
    auto index = *process.database().open_index(kName);
    ASSERT_TRUE(put(*index, fmt::format("k{}", i)));
  }
  EXPECT_EQ((*process.database().open_index(kName))->info()->vectors, 50U);
}

TEST(Background, ATailThatIsFullIsFoldedWhateverTheThreshold) {
  auto pool = base::make_inline_pool();
  Process process(store::make_memory_store(test_clock()), 6, [&](Env& env) {
    env.background = pool.get();
    env.fold_ops_min = 1'000'000;
    env.tail_ops_max = 3;
  });
  auto index = create(process);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(put(*index, fmt::format("k{}", i)));
  EXPECT_EQ(index->info()->vectors, 10U);
  index->close();
}

TEST(Background, WhatFoldsReplaceGoesHoweverOftenTheyCome) {
  auto memory = store::make_memory_store(test_clock());
  auto pool = base::make_inline_pool();
  Process process(memory, 7, [&](Env& env) {
    env.background = pool.get();
    env.fold_ops_min = 1;
  });
  auto index = create(process);
  std::size_t most = 0;
  for (int i = 0; i < 800; ++i) {
    ASSERT_TRUE(put(*index, "k"));
    test_clock().advance(std::chrono::seconds(20));
    const auto deadline = base::Deadline::after(test_clock(), std::chrono::seconds(1));
    most = std::max(most, memory->list("", "", 100'000, deadline)->entries.size());
  }
  // Each fold replaces about five objects, and 30 folds pass in the grace of ten minutes. The
  // newest list takes in what comes until an older one goes: twice that at most, and the objects in
  // use.
  EXPECT_LT(most, 1'000U);
  EXPECT_THAT(index->fsck({})->findings, IsEmpty());
  index->close();
}

TEST(Background, ADamagedListOfGarbageStopsNothing) {
  auto memory = store::make_memory_store(test_clock());
  auto fault = std::make_shared<store::FaultStore>(memory, test_clock(), 1, store::FaultPlan{});
  Process process(fault, 8);
  auto index = create(process);
  ASSERT_TRUE(put(*index, "a"));
  ASSERT_TRUE(index->fold());
  const Core core(process.env(), *format::Uuid::from_hex(index->info()->uuid));
  const auto head = read_head(core.env, core.names, core.index);
  ASSERT_TRUE(head);
  ASSERT_EQ(head->head.retired.size(), 1U);
  store::FaultPlan damage;
  damage.corrupt_read = 1;
  damage.applies_to = [name = head->head.retired[0].list_name](std::string_view key) {
    return key == name;
  };
  fault->set_plan(damage);
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(put(*index, fmt::format("b{}", i)));
    const auto folded = index->fold();
    ASSERT_TRUE(folded) << folded.error().message;
  }
  const auto compacted = index->compact({});
  EXPECT_TRUE(compacted) << compacted.error().message;
  EXPECT_EQ(index->info()->vectors, 13U);
}

}  // namespace
}  // namespace varve::engine
