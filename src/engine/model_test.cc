// Random operations against a map. Permitted differences: none; distances agree to 1e-9 relative,
// and rows whose distances agree that closely may change places.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/test_env.h"

namespace varve::engine {
namespace {

struct Case {
  std::uint64_t seed;
  Metric metric;
};

class ModelTest : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr std::uint64_t kKeys = 120;

  ModelTest()
      : dim_(GetParam().seed % 4 == 3 ? 70 : 6),  // some with codes
        random_(GetParam().seed),
        model_(GetParam().metric),
        store_(store::make_memory_store(test_clock())) {
    for (std::uint64_t i = 0; i < 2; ++i) {
      processes_.push_back(std::make_unique<Process>(store_, GetParam().seed * 10 + i));
      auto index = processes_.back()->database().create_index(
          {"test", "model"}, {.dim = dim_, .metric = GetParam().metric}, true);
      indexes_.push_back(*index);
    }
  }

  Index& any() { return *indexes_[random_.below(indexes_.size())]; }
  std::string any_key() { return "key-" + std::to_string(random_.below(kKeys)); }

  VectorRecord any_record() {
    VectorRecord record{any_key(), random_vector(random_, dim_), {}};
    if (random_.below(3) > 0) record.metadata = "{\"n\":" + std::to_string(++version_) + "}";
    return record;
  }

  std::vector<VectorRecord> any_records(std::uint64_t count) {
    std::vector<VectorRecord> records(count);
    for (auto& record : records) record = any_record();
    return records;
  }

  void put() {
    const auto records = any_records(1 + random_.below(8));
    const auto ack = any().put(records);
    ASSERT_TRUE(ack) << ack.error().message;
    for (const auto& record : records) model_.records[record.key] = record;
  }

  void remove() {
    std::vector<std::string> keys(1 + random_.below(5));
    for (auto& key : keys) key = any_key();
    const auto ack = any().remove(keys);
    ASSERT_TRUE(ack) << ack.error().message;
    for (const auto& key : keys) model_.records.erase(key);
  }

  void import() {
    const auto records = any_records(random_.below(60));
    VectorSource source(records);
    const auto report = any().import(source, {});
    ASSERT_TRUE(report) << report.error().message;
    for (const auto& record : records) model_.records[record.key] = record;
  }

  void check_query() {
    const auto query = random_vector(random_, dim_);
    const auto k = static_cast<std::uint32_t>(1 + random_.below(15));
    const auto result = any().query(query, exact_query(k));
    ASSERT_TRUE(result) << result.error().message;
    const auto expected = model_.nearest(query, k);
    ASSERT_EQ(result->hits.size(), expected.size());
    EXPECT_EQ(result->performance.certainty, Certainty::exact);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Hit& hit = result->hits[i];
      EXPECT_NEAR(hit.distance, expected[i].first, 1e-9 * (1 + expected[i].first));
      const auto record = model_.records.find(hit.key);
      ASSERT_NE(record, model_.records.end()) << "hit on a key that does not exist: " << hit.key;
      EXPECT_EQ(hit.metadata, record->second.metadata);
    }
  }

  void check_get() {
    std::vector<std::string> keys(1 + random_.below(6));
    for (auto& key : keys) key = any_key();
    const auto records = any().get(keys);
    ASSERT_TRUE(records) << records.error().message;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto expected = model_.records.find(keys[i]);
      ASSERT_EQ((*records)[i].has_value(), expected != model_.records.end()) << keys[i];
      if (!(*records)[i]) continue;
      EXPECT_EQ((*records)[i]->vector, expected->second.vector);
      EXPECT_EQ((*records)[i]->metadata, expected->second.metadata);
    }
  }

  void check_list() {
    std::vector<std::string> expected;
    for (const auto& [key, record] : model_.records) expected.push_back(key);
    std::vector<std::string> listed;
    const auto limit = static_cast<std::uint32_t>(1 + random_.below(40));
    Index& index = any();
    for (std::string after;;) {
      const auto page = index.list(after, limit);
      ASSERT_TRUE(page) << page.error().message;
      listed.insert(listed.end(), page->keys.begin(), page->keys.end());
      if (page->next.empty()) break;
      after = page->next;
    }
    EXPECT_EQ(listed, expected);
  }

  void check_fsck() {
    const auto report = any().fsck({});
    ASSERT_TRUE(report) << report.error().message;
    for (const auto& finding : report->findings) {
      ADD_FAILURE() << finding.invariant << " " << finding.object << ": " << finding.message;
    }
    EXPECT_EQ(report->live_keys, model_.records.size());
  }

  void step() {
    switch (random_.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return put();
      case 4:
      case 5:
        return remove();
      case 6:
        return import();
      case 7: {
        const auto folded = any().fold();
        ASSERT_TRUE(folded) << folded.error().message;
        return;
      }
      case 8: {
        const auto done = any().compact({});
        ASSERT_TRUE(done) << done.error().message;
        return;
      }
      case 9:
      case 10:
      case 11:
        return check_query();
      case 12:
      case 13:
        return check_get();
      case 14:
        return check_list();
      default:
        return check_fsck();
    }
  }

  const std::uint32_t dim_;
  base::Random random_;
  Model model_;
  std::shared_ptr<store::ObjectStore> store_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::shared_ptr<Index>> indexes_;
  std::uint64_t version_ = 0;
};

TEST_P(ModelTest, TwoProcessesOnOneStoreBehaveLikeAMap) {
  SCOPED_TRACE("seed " + std::to_string(GetParam().seed));
  for (int i = 0; i < 150 && !HasFatalFailure(); ++i) step();
  if (HasFatalFailure()) return;
  check_list();
  check_fsck();
  Process fresh(store_, 999);
  const auto index = fresh.database().open_index({"test", "model"});
  ASSERT_TRUE(index);
  const auto a = (*index)->fsck({}), b = indexes_[0]->fsck({});
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->state_hash, b->state_hash);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    all.push_back({seed, seed % 2 == 0 ? Metric::cosine : Metric::euclidean});
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::ValuesIn(cases()), [](const auto& param) {
  return "seed" + std::to_string(param.param.seed);
});

}  // namespace
}  // namespace varve::engine
