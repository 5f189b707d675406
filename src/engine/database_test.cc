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

}  // namespace
}  // namespace varve::engine
