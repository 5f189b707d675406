// Answers of indexes whose parts have sign codes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/coded_search_test.h"

namespace varve::engine {
namespace {

using ::testing::SizeIs;

class CodedSearch : public OfKinds {};
INSTANTIATE_TEST_SUITE_P(Kinds, CodedSearch, kinds());

TEST_P(CodedSearch, ComparesFewRowsAndFindsTheNearest) {
  const Data data = clumps(8'000, 96, 5, integral());
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), data, metric());
  QueryOptions options;
  // Nearly all clusters, so that what is missed was lost by the codes.
  options.nprobe = static_cast<std::uint32_t>(index->info()->clusters - 1);
  const Found found = found_by(*index, data, options);
  EXPECT_GE(found.recall, 0.98);
  EXPECT_GT(found.scanned, 7'000);
  EXPECT_LT(found.compared, found.scanned / 8);
}

TEST_P(CodedSearch, RowsThatAreGoneAreInNoAnswer) {
  Data data = clumps(6'000, 64, 6, integral());
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), data, metric());
  base::Random random(7);
  Model model(metric());
  for (const auto& record : data.records) model.records[record.key] = record;
  for (int round = 0; round < 6; ++round) {
    std::vector<std::string> removed;
    std::vector<VectorRecord> moved;
    for (int i = 0; i < 300; ++i) {
      const auto& record = data.records[random.below(data.records.size())];
      if (i % 2 == 0) {
        removed.push_back(record.key);
        model.records.erase(record.key);
      } else {
        moved.push_back({record.key, data.records[random.below(6'000)].vector, R"({"moved":1})"});
        model.records[record.key] = moved.back();
      }
    }
    ASSERT_TRUE(index->remove(removed));
    ASSERT_TRUE(index->put(moved));
    // A key that was removed and moved in one round is there.
    for (const auto& record : moved) model.records[record.key] = record;
    if (round % 3 == 1) {
      ASSERT_TRUE(index->fold());
    }
    if (round == 4) {
      ASSERT_TRUE(index->compact({}));
    }
    double good = 0;
    for (const auto& query : data.queries) {
      const auto result = index->query(query, recall_query(0.99));
      ASSERT_TRUE(result) << result.error().message;
      ASSERT_THAT(result->hits, SizeIs(10));
      std::set<std::string> truth;
      for (const auto& [distance, key] : model.nearest(query, 10)) truth.insert(key);
      for (const Hit& hit : result->hits) {
        const auto record = model.records.find(hit.key);
        ASSERT_NE(record, model.records.end()) << hit.key << " was removed";
        EXPECT_EQ(hit.metadata, record->second.metadata);
        good += truth.contains(hit.key) ? 1 : 0;
      }
    }
    EXPECT_GE(good / static_cast<double>(10 * data.queries.size()), 0.95) << "round " << round;
  }
  EXPECT_TRUE(index->fsck({})->findings.empty());
}

TEST_P(CodedSearch, PinnedAndNotAnswersAreTheSame) {
  const Data data = clumps(6'000, 80, 8, integral());
  const auto store = store::make_memory_store(test_clock());
  CachedProcess process(store, {});
  const auto index = filled(process.database(), data, metric());
  const auto ask = [&] {
    std::string text;
    const auto snapshot = *index->snapshot();
    for (const auto& query : data.queries) {
      for (const std::uint32_t k : {1U, 10U, 300U}) {
        QueryOptions options = recall_query(0.9);
        options.k = k;
        const auto result = snapshot->query(query, options).value();
        for (const Hit& hit : result.hits) {
          text += fmt::format("{} {:a} {}\n", hit.key, hit.distance, hit.metadata);
        }
      }
    }
    return text;
  };
  const std::string before = ask();
  ASSERT_TRUE(index->pin({}));
  EXPECT_EQ(ask(), before);
  ASSERT_TRUE(index->unpin());
  EXPECT_EQ(ask(), before);
}

TEST(CodedSearch, WhatIsPinnedIsReadWithoutTheCacheUntilItIsUnpinned) {
  CachedProcess process(imported(Metric::cosine), {});
  const auto index = process.index();
  const auto asked_of_cache = [&] {
    const auto hits = [&] {
      const auto status = *process.database().cache_status(false);
      return status.tiers[0].hits + status.tiers[0].misses;
    };
    const auto before = hits();
    EXPECT_THAT((*index->snapshot())->query(Rows::row(3), {})->hits, SizeIs(10));
    return hits() - before;
  };
  EXPECT_GT(asked_of_cache(), 0U);
  ASSERT_TRUE(index->pin({}));
  EXPECT_EQ(asked_of_cache(), 0U);
  ASSERT_TRUE(index->unpin());
  EXPECT_GT(asked_of_cache(), 0U);
  ASSERT_TRUE(index->pin({}));
  ASSERT_TRUE(index->evict());
  EXPECT_GT(asked_of_cache(), 0U);
}

TEST(CodedSearch, FindsRowsWhoseCodesOverflow) {
  for (const double scale : {1e-41, 1e-22, 1e17, 1e19, 3e38}) {
    for (const Metric metric : {Metric::euclidean, Metric::cosine}) {
      base::Random random(9);
      Data data{64, {}, {}};
      for (std::size_t i = 0; i < 6'000; ++i) {
        auto values = random_vector(random, data.dim);
        for (float& value : values) value = static_cast<float>(static_cast<double>(value) * scale);
        data.records.push_back({fmt::format("k{:06}", i), values, ""});
      }
      Process process(store::make_memory_store(test_clock()), 1);
      const auto index = filled(process.database(), data, metric);
      for (std::size_t i = 0; i < 6'000; i += 500) {
        const auto answer = index->query(data.records[i].vector, {});
        ASSERT_TRUE(answer) << answer.error().message;
        ASSERT_THAT(answer->hits, SizeIs(10)) << scale;
        if (scale < 1e-40) continue;  // float32 is too coarse there: many rows are equal
        EXPECT_EQ(answer->hits[0].key, data.records[i].key) << scale;
      }
    }
  }
}

}  // namespace
}  // namespace varve::engine
