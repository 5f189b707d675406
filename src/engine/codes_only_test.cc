// Answers from codes alone, of indexes with extra bits.
#include <gmock/gmock.h>

#include <limits>
#include <map>

#include "engine/coded_search_test.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kBits = 4.5;

QueryOptions codes_only(double recall = 0.99) {
  QueryOptions options = recall_query(recall);
  options.codes_only = true;
  return options;
}

class CodesOnly : public OfKinds {};
INSTANTIATE_TEST_SUITE_P(Kinds, CodesOnly, kinds());

TEST_P(CodesOnly, FindTheNearestAndLookAtNoRow) {
  const Data data = clumps(8'000, 96, 5, integral());
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), data, metric(), kBits);
  for (const bool all : {false, true}) {
    QueryOptions options = codes_only();
    options.nprobe = static_cast<std::uint32_t>(index->info()->clusters - (all ? 0 : 1));
    const Found found = found_by(*index, data, options);
    EXPECT_GE(found.recall, 0.9);
    // Clusters of a few rows have no codes: their rows are looked at.
    EXPECT_LT(found.compared, 2 * 16);
    EXPECT_GT(found.scanned, 7'000);
    const auto answer = index->query(data.queries[0], options).value();
    EXPECT_EQ(answer.performance.certainty, Certainty::approximate);
  }
}

TEST_P(CodesOnly, MoreBitsFindMore) {
  const Data data = clumps(6'000, 64, 11, integral());
  double before = 0;
  for (const double bits : {2.0, 4.0, 8.0}) {
    Process process(store::make_memory_store(test_clock()), 1);
    const auto index = filled(process.database(), data, metric(), bits);
    EXPECT_EQ(index->config().code_bits, bits);
    QueryOptions options = codes_only();
    options.nprobe = static_cast<std::uint32_t>(index->info()->clusters);
    const double recall = found_by(*index, data, options).recall;
    EXPECT_GT(recall, before) << bits;
    before = recall;
  }
  EXPECT_GE(before, 0.98);
}

// The log and rows that it replaced, filters, folds and rebuilds.
TEST_P(CodesOnly, GiveRowsThatAreThereWithDistancesNearTheTruth) {
  const Data data = clumps(6'000, 128, 6, integral());
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = filled(process.database(), data, metric(), kBits);
  base::Random random(7);
  std::map<std::string, VectorRecord> rows;
  for (const auto& record : data.records) rows[record.key] = record;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::string> removed;
    std::vector<VectorRecord> moved;
    for (int i = 0; i < 400; ++i) {
      const auto& record = data.records[random.below(data.records.size())];
      if (i % 2 == 0) {
        removed.push_back(record.key);
        rows.erase(record.key);
      } else {
        moved.push_back({record.key, data.records[random.below(6'000)].vector, R"({"moved":1})"});
      }
    }
    ASSERT_TRUE(index->remove(removed));
    ASSERT_TRUE(index->put(moved));
    for (const auto& record : moved) rows[record.key] = record;
    if (round == 2) {
      ASSERT_TRUE(index->fold());
    }
    if (round == 3) {
      ASSERT_TRUE(index->compact({}));
    }
    for (const char* const filter : {"", R"({"moved":1})", R"({"i":{"$lt":600}})"}) {
      QueryOptions options = codes_only();
      options.filter = filter;
      QueryOptions exact = exact_query(6'000);
      exact.filter = filter;
      for (std::size_t q = 0; q < data.queries.size(); q += 8) {
        const auto all = index->query(data.queries[q], exact).value();
        std::map<std::string, double> truth;
        for (const Hit& hit : all.hits) truth[hit.key] = hit.distance;
        const auto answer = index->query(data.queries[q], options);
        ASSERT_TRUE(answer) << answer.error().message;
        ASSERT_THAT(answer->hits, SizeIs(std::min<std::size_t>(10, truth.size())));
        for (const Hit& hit : answer->hits) {
          ASSERT_TRUE(truth.contains(hit.key)) << hit.key << filter;
          EXPECT_EQ(hit.metadata, rows.at(hit.key).metadata);
          EXPECT_NEAR(hit.distance, truth[hit.key], 0.1 * truth[hit.key] + 1e-3) << round;
        }
      }
    }
  }
  EXPECT_THAT(index->fsck({})->findings, IsEmpty());
  EXPECT_EQ(index->config().code_bits, kBits);
}

std::string answers(Index& index, const Data& data) {
  std::string text;
  const auto snapshot = *index.snapshot();
  for (const auto& query : data.queries) {
    for (const std::uint32_t k : {1U, 10U, 300U}) {
      QueryOptions options = codes_only(0.9);
      options.k = k;
      const auto result = snapshot->query(query, options);
      EXPECT_TRUE(result) << result.error().message;
      for (const Hit& hit : result->hits) {
        text += fmt::format("{} {:a} {}\n", hit.key, hit.distance, hit.metadata);
      }
    }
  }
  return text;
}

TEST_P(CodesOnly, AreTheSameFromStoreMemoryAndDisk) {
  const Data data = clumps(6'000, 80, 8, integral());
  const auto store = store::make_memory_store(test_clock());
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  std::string first;
  {
    CachedProcess process(store, options);
    const auto index = filled(process.database(), data, metric(), kBits);
    first = answers(*index, data);
    ASSERT_TRUE(index->pin({}));
    EXPECT_EQ(answers(*index, data), first);
    ASSERT_TRUE(index->unpin());
    ASSERT_TRUE(index->evict());
    ASSERT_TRUE(index->pin({.codes_only = true}));
    EXPECT_EQ(answers(*index, data), first);
  }
  CachedProcess again(store, options);
  const auto index = *again.database().open_index(kCoded);
  ASSERT_TRUE(index->pin({.codes_only = true}));
  EXPECT_EQ(answers(*index, data), first);
  // Other queries of an index whose codes alone are pinned find rows too.
  EXPECT_THAT(index->query(data.queries[0], exact_query())->hits, SizeIs(10));
  EXPECT_THAT(index->query(data.queries[0], {})->hits, SizeIs(10));
}

TEST(CodesOnly, PinnedCodesAreInMemoryAndAllElseOnDisk) {
  const Data data = clumps(6'000, 128, 12, false);
  const auto store = store::make_memory_store(test_clock());
  Folder folder;
  CacheOptions options;
  options.disk_dir = folder.path();
  for (const bool again : {false, true}) {
    CachedProcess process(store, options);
    const auto index = again ? *process.database().open_index(kCoded)
                             : filled(process.database(), data, Metric::euclidean, kBits);
    ASSERT_TRUE(index->pin({.codes_only = true}));
    const auto status = *process.database().cache_status(true);
    ASSERT_THAT(status.indexes, SizeIs(1));
    const double row_bytes = 128 / 8 * kBits + 16;  // with factors
    const double in_memory = static_cast<double>(status.indexes[0].bytes[0]) / 6'000;
    EXPECT_GT(in_memory, row_bytes) << again;
    EXPECT_LT(in_memory, 1.4 * row_bytes) << again;
    EXPECT_GT(status.tiers[1].pinned_items, 2 * status.tiers[0].pinned_items) << again;
    const auto reads = index->query(data.queries[0], codes_only())->performance.tier_reads;
    EXPECT_EQ(reads.back().reads, 0U) << "nothing from the store";
  }
}

TEST(CodesOnly, RowsWhoseCodesOverflowAreCompared) {
  for (const double scale : {1e17, 1e19}) {
    base::Random random(9);
    Data data{64, {}, {}};
    for (std::size_t i = 0; i < 6'000; ++i) {
      auto values = random_vector(random, data.dim);
      for (float& value : values) value = static_cast<float>(static_cast<double>(value) * scale);
      data.records.push_back({fmt::format("k{:06}", i), values, ""});
    }
    Process process(store::make_memory_store(test_clock()), 1);
    const auto index = filled(process.database(), data, Metric::euclidean, kBits);
    for (std::size_t i = 0; i < 6'000; i += 500) {
      const auto answer = index->query(data.records[i].vector, codes_only());
      ASSERT_TRUE(answer) << answer.error().message;
      ASSERT_THAT(answer->hits, SizeIs(10)) << scale;
      EXPECT_EQ(answer->hits[0].key, data.records[i].key) << scale;
    }
  }
}

TEST(CodesOnly, WhatCannotBeIsRefused) {
  Process process(store::make_memory_store(test_clock()), 1);
  Database& database = process.database();
  const auto refused = [&](const IndexConfig& config) {
    const auto made = database.create_index(kCoded, config, true);
    EXPECT_FALSE(made);
    return made ? "" : made.error().message;
  };
  for (const double bits : {0.0, 1.5, 8.01, -3.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(refused({64, Metric::euclidean, bits}), HasSubstr("code_bits"));
  }
  EXPECT_THAT(refused({63, Metric::euclidean, 4}), HasSubstr("dimension 63"));
  const auto plain = *database.create_index(kCoded, {64, Metric::euclidean}, false);
  EXPECT_THAT(refused({64, Metric::euclidean, 4}), HasSubstr("code bits"));
  const std::vector<float> query(64, 1);
  EXPECT_THAT(plain->query(query, codes_only()).error().message, HasSubstr("codes_only"));

  const auto index =
      *database.create_index({"test", "extra"}, {64, Metric::euclidean, kBits}, false);
  EXPECT_THAT(index->query(query, codes_only())->hits, IsEmpty());
  QueryOptions exact = codes_only();
  exact.exact = true;
  EXPECT_THAT(index->query(query, exact).error().message, HasSubstr("codes_only"));
  // Too few rows for clusters or codes.
  ASSERT_TRUE(index->put({{VectorRecord{"a", query, ""}}}));
  ASSERT_TRUE(index->fold());
  EXPECT_THAT(index->query(query, codes_only())->hits, SizeIs(1));
}

}  // namespace
}  // namespace varve::engine
