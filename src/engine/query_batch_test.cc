// Batches of queries: the same answers as one at a time.
#include "engine/query_batch.h"

#include <gmock/gmock.h>

#include <atomic>
#include <limits>

#include "engine/coded_search_test.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<float> joined(const std::vector<std::vector<float>>& queries) {
  std::vector<float> all;
  for (const auto& query : queries) all.insert(all.end(), query.begin(), query.end());
  return all;
}

void expect_same_answers(Index& index, const Data& data, const QueryOptions& options) {
  const auto snapshot = *index.snapshot();
  std::vector<QueryResult> results;
  const Status asked = snapshot->query_batch(joined(data.queries), options, results);
  ASSERT_TRUE(asked) << asked.error().message;
  ASSERT_THAT(results, SizeIs(data.queries.size()));
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto single = snapshot->query(data.queries[i], options).value();
    ASSERT_EQ(results[i].hits.size(), single.hits.size());
    for (std::size_t rank = 0; rank < single.hits.size(); ++rank) {
      EXPECT_EQ(results[i].hits[rank].key, single.hits[rank].key);
      EXPECT_EQ(results[i].hits[rank].distance, single.hits[rank].distance);
      EXPECT_EQ(results[i].hits[rank].metadata, single.hits[rank].metadata);
    }
    EXPECT_EQ(results[i].performance.rows_scanned, single.performance.rows_scanned);
  }
}

class QueryBatch : public testing::Test {
 protected:
  const std::unique_ptr<base::Pool> pool_ = base::make_thread_pool(3);
  Process process_{store::make_memory_store(test_clock()), 1,
                   [&](Env& env) { env.compute = pool_.get(); }};
  std::vector<QueryResult> results_;
};

TEST_F(QueryBatch, AnswersAsOneQueryAtATime) {
  const Data data = clumps(6'000, 96, 5, false);
  const auto index = filled(process_.database(), data, Metric::cosine, 3);
  QueryOptions few;
  few.filter = R"({"i":{"$lt":900}})";
  QueryOptions estimated;
  estimated.codes_only = true;
  for (const bool pinned : {false, true}) {
    if (pinned) {
      ASSERT_TRUE(index->pin({}));
    }
    for (const QueryOptions& options : {QueryOptions{}, few, estimated, exact_query()}) {
      expect_same_answers(*index, data, options);
    }
  }
  ASSERT_TRUE(index->put(std::span(data.records).first(300)));
  expect_same_answers(*index, data, {});
}

TEST_F(QueryBatch, OfAnIndexWithoutCodesOrRows) {
  const Data data = clumps(3'000, 16, 6, false);
  const auto index = filled(process_.database(), data, Metric::euclidean);
  expect_same_answers(*index, data, {});
  const auto empty =
      *process_.database().create_index({"test", "empty"}, {16, Metric::euclidean}, false);
  expect_same_answers(*empty, data, {});
  ASSERT_TRUE((*index->snapshot())->query_batch({}, {}, results_));
  EXPECT_THAT(results_, IsEmpty());
}

TEST_F(QueryBatch, ABadQueryIsNamed) {
  const Data data = clumps(3'000, 64, 7, false);
  const auto snapshot = *filled(process_.database(), data, Metric::euclidean)->snapshot();
  std::vector<float> queries = joined(data.queries);
  queries[5 * 64 + 3] = std::numeric_limits<float>::quiet_NaN();
  const Status bad = snapshot->query_batch(queries, {}, results_);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind, ErrorKind::invalid);
  EXPECT_THAT(bad.error().message, HasSubstr("number 5 of the batch"));
  queries.pop_back();
  EXPECT_THAT(snapshot->query_batch(queries, {}, results_).error().message,
              HasSubstr("dimension 64"));
}

TEST(AskAll, EachQueryIsAskedOnceAndAnErrorComesBack) {
  const auto pool = base::make_thread_pool(3);
  for (const std::size_t count : {0, 1, 31, 32, 33, 1000}) {
    std::vector<std::atomic<int>> asked(count);
    ASSERT_TRUE(ask_all(*pool, count, [&](std::size_t i) -> Status {
      ++asked[i];
      return {};
    }));
    for (const auto& times : asked) EXPECT_EQ(times, 1);
  }
  const Status failed = ask_all(*pool, 40, [&](std::size_t i) -> Status {
    if (i == 7) return fail(ErrorKind::unavailable, "seven");
    return {};
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(failed.error().message, HasSubstr("seven"));
  EXPECT_THAT(failed.error().message, HasSubstr("number 7 of the batch"));
}

}  // namespace
}  // namespace varve::engine
