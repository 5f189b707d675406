// The catalog and the life of indexes, under faults.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/test_env.h"
#include "store/fault.h"

namespace varve::engine {
namespace {

const IndexName kName{"test", "index"};
const IndexConfig kConfig{.dim = 2, .metric = Metric::euclidean};

bool is_catalog(std::string_view key) { return key.find("/cat/") != std::string_view::npos; }

// The entry of the catalog lands and its answer is lost, as are all later answers.
TEST(Database, AnIndexWhoseCreationIsInDoubtIsNotRemoved) {
  auto memory = store::make_memory_store(test_clock());
  auto hooked = std::make_shared<HookStore>(memory);
  store::FaultPlan lose;
  lose.lose_answer = 1;
  lose.applies_to = is_catalog;
  auto fault = std::make_shared<store::FaultStore>(hooked, test_clock(), 1, lose);
  hooked->before = [&](std::string_view method, std::string_view key) {
    if (!is_catalog(key) || method == "get") return;
    store::FaultPlan outage;
    outage.fail_before = 1;
    outage.applies_to = is_catalog;
    fault->set_plan(outage);
  };
  Process process(fault, 1);
  const auto created = process.database().create_index(kName, kConfig, false);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().kind, ErrorKind::unavailable);
  Process other(memory, 2);
  const auto opened = other.database().open_index(kName);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->info()->vectors, 0U);
}

TEST(Database, ADamagedReadOfTheCatalogIsReadAgain) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 3);
  ASSERT_TRUE(process.database().create_index(kName, kConfig, false));
  auto hooked = std::make_shared<HookStore>(memory);
  store::FaultPlan damage;
  damage.corrupt_read = 1;
  damage.applies_to = is_catalog;
  auto fault = std::make_shared<store::FaultStore>(hooked, test_clock(), 1, damage);
  // Twice damaged, then whole.
  int looks = 0;
  hooked->before = [&](std::string_view, std::string_view key) {
    if (is_catalog(key) && ++looks % 3 == 2) fault->set_plan({});
  };
  Process other(fault, 4);
  EXPECT_TRUE(other.database().open_index(kName));
  looks = 0;
  fault->set_plan(damage);
  const auto names = other.database().list_indexes();
  ASSERT_TRUE(names) << names.error().message;
  EXPECT_EQ(names->size(), 1U);
}

// An Index and a Snapshot keep what they work with.
TEST(Database, IndexesAndSnapshotsOutliveTheirDatabase) {
  auto database = *Database::open("memory://", {});
  auto index = *database->create_index(kName, kConfig, false);
  const std::vector<VectorRecord> records{{"a", {1, 2}, {}}};
  ASSERT_TRUE(index->put(records));
  auto snapshot = *index->snapshot();
  database.reset();
  ASSERT_TRUE(index->fold());
  EXPECT_EQ(index->query(records[0].vector, {})->hits.size(), 1U);
  index.reset();
  EXPECT_EQ(snapshot->query(records[0].vector, {})->hits.size(), 1U);

  auto owned = std::make_shared<int>();
  const std::weak_ptr<int> alive = owned;
  {
    Process process(store::make_memory_store(test_clock()), 5);
    Env env = process.env();
    env.owned = std::move(owned);
    auto other = make_database(env);
    env.owned = nullptr;
    auto theirs = *other->create_index(kName, kConfig, false);
    other.reset();
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
}

TEST(Database, ADatabaseRepeatsRequestsAndCountsThem) {
  auto calm = *Database::open("memory://repeated", {});
  auto index = *calm->create_index(kName, kConfig, false);
  const std::vector<VectorRecord> records{{"a", {1, 2}, {}}};
  ASSERT_TRUE(index->put(records));
  // The owner of the log looks at HEAD only.
  EXPECT_EQ(index->query(records[0].vector, {})->performance.store_requests, 1U);
  auto database = *Database::open("fault+memory://repeated?seed=3&fail_before=0.2", {});
  auto other = *database->open_index(kName);
  std::uint64_t requests = 0;
  for (int i = 0; i < 20; ++i) {
    const auto answer = other->query(records[0].vector, {});
    ASSERT_TRUE(answer) << answer.error().message;
    requests += answer->performance.store_requests;
  }
  // HEAD, the slot at the end of the log, HEAD again; and some a second time.
  EXPECT_GT(requests, 60U);
}

TEST(Database, AnIndexThatIsOpenTwiceKeepsItsEpoch) {
  Process process(store::make_memory_store(test_clock()), 6);
  auto index = *process.database().create_index(kName, kConfig, false);
  auto again = *process.database().open_index(kName);
  const std::vector<VectorRecord> records{{"a", {1, 2}, {}}};
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(index->put(records));
    ASSERT_TRUE(again->put(records));
  }
  EXPECT_EQ(index->info()->epoch, 1U);
  again->close();
  EXPECT_EQ(index->put(records).error().kind, ErrorKind::cancelled);
  auto fresh = *process.database().open_index(kName);
  EXPECT_TRUE(fresh->put(records));
  ASSERT_TRUE(process.database().drop_index(kName));
  EXPECT_EQ(process.database().open_index(kName).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace varve::engine
