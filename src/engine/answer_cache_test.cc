// Answers that are kept are those that a search would give.
#include "engine/answer_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/test_env.h"

namespace varve::engine {
namespace {

const IndexName kName{"test", "index"};
constexpr std::uint32_t kDim = 8;
constexpr std::uint64_t kSeed = 20'261'124;
constexpr std::uint64_t kPlenty = std::uint64_t{1} << 20;

class AnswerCacheTest : public testing::Test {
 protected:
  void open(std::uint64_t bytes_max) {
    answers_ = std::make_shared<AnswerCache>(bytes_max);
    process_ = std::make_unique<Process>(store_, 1, [this](Env& env) { env.answers = answers_; });
    auto index = process_->database().create_index(kName, {.dim = kDim}, true);
    ASSERT_TRUE(index) << index.error().message;
    index_ = *std::move(index);
  }
  void put(const std::string& key) {
    const VectorRecord record{key, random_vector(random_, kDim),
                              fmt::format(R"({{"of":"{}"}})", key)};
    model_.records[key] = record;
    ASSERT_TRUE(index_->put(std::vector{record}));
  }
  void remove(const std::string& key) {
    model_.records.erase(key);
    ASSERT_TRUE(index_->remove(std::vector{key}));
  }
  QueryResult ask(const std::vector<float>& query, const QueryOptions& options) {
    auto result = index_->query(query, options);
    EXPECT_TRUE(result) << result.error().message;
    return *std::move(result);
  }
  void expect_right(const QueryResult& result, const std::vector<float>& query, std::uint32_t k) {
    const auto wanted = model_.nearest(query, k);
    ASSERT_EQ(result.hits.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(result.hits[i].key, wanted[i].second);
      EXPECT_EQ(result.hits[i].metadata, model_.records[wanted[i].second].metadata);
    }
  }

  base::Random random_{kSeed};
  std::shared_ptr<store::ObjectStore> store_ = std::make_shared<store::MemoryStore>(test_clock());
  std::shared_ptr<AnswerCache> answers_;
  std::unique_ptr<Process> process_;
  std::shared_ptr<Index> index_;
  Model model_{Metric::euclidean};
};

TEST_F(AnswerCacheTest, TheSameQuestionIsAnsweredOnce) {
  open(kPlenty);
  for (int i = 0; i < 50; ++i) put(fmt::format("k{}", i));
  const auto query = random_vector(random_, kDim);
  const QueryResult first = ask(query, exact_query(5));
  EXPECT_FALSE(first.performance.from_answer_cache);
  const QueryResult again = ask(query, exact_query(5));
  EXPECT_TRUE(again.performance.from_answer_cache);
  EXPECT_EQ(again.performance.certainty, Certainty::exact);
  EXPECT_EQ(again.performance.rows_scanned, 0U);
  expect_right(again, query, 5);
  for (std::size_t i = 0; i < first.hits.size(); ++i) {
    EXPECT_EQ(again.hits[i].distance, first.hits[i].distance);
  }
  // Of a snapshot, too.
  const auto snapshot = index_->snapshot();
  EXPECT_TRUE((*snapshot)->query(query, exact_query(5))->performance.from_answer_cache);
  EXPECT_EQ(answers_->stats().hits, 2U);
}

TEST_F(AnswerCacheTest, EveryOptionMakesAnotherQuestion) {
  open(kPlenty);
  for (int i = 0; i < 20; ++i) put(fmt::format("k{}", i));
  auto query = random_vector(random_, kDim);
  ask(query, exact_query(5));
  std::vector<QueryOptions> others(7, exact_query(5));
  others[0].k = 6;
  others[1].exact = false;
  others[2].include_metadata = false;
  others[3].nprobe = 1;
  others[4].recall = 0.5;
  others[5].filter = "{}";
  others[6].exact = false;
  others[6].bounded = true;
  for (const QueryOptions& options : others) {
    EXPECT_FALSE(ask(query, options).performance.from_answer_cache);
    EXPECT_TRUE(ask(query, options).performance.from_answer_cache);
  }
  query[kDim - 1] += 1;
  EXPECT_FALSE(ask(query, exact_query(5)).performance.from_answer_cache);
}

TEST_F(AnswerCacheTest, IndexesDoNotAnswerForEachOther) {
  open(kPlenty);
  put("here");
  const auto query = random_vector(random_, kDim);
  ask(query, exact_query(1));
  const auto other = *process_->database().create_index({"test", "other"}, {.dim = kDim}, false);
  ASSERT_TRUE(other->put(std::vector<VectorRecord>{{"there", query, {}}}));
  const auto answer = other->query(query, exact_query(1));
  EXPECT_FALSE(answer->performance.from_answer_cache);
  EXPECT_EQ(answer->hits[0].key, "there");
}

TEST_F(AnswerCacheTest, AnErrorIsNoAnswer) {
  open(kPlenty);
  put("a");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(index_->query(std::vector<float>(3), {}).error().kind, ErrorKind::invalid);
  }
  EXPECT_EQ(answers_->stats().items, 0U);
}

TEST_F(AnswerCacheTest, WritesOfAnyKindAreSeen) {
  SCOPED_TRACE(kSeed);
  // So little that answers have to leave, and plenty.
  for (const std::uint64_t bytes_max : {std::uint64_t{48} << 10, kPlenty}) {
    open(bytes_max);
    std::vector<std::vector<float>> queries;
    for (int i = 0; i < 40; ++i) queries.push_back(random_vector(random_, kDim));
    std::size_t kept = 0;
    for (int step = 0; step < 600; ++step) {
      const std::string key = fmt::format("k{}", random_.below(60));
      const auto what = random_.below(100);
      if (what < 6) put(key);
      if (what >= 6 && what < 9) remove(key);
      if (what == 9) {
        ASSERT_TRUE(index_->fold());
      }
      if (what == 10) {
        ASSERT_TRUE(index_->compact({}));
      }
      const auto& query = queries[random_.below(queries.size())];
      const QueryResult result = ask(query, exact_query(4));
      kept += result.performance.from_answer_cache;
      expect_right(result, query, 4);
    }
    EXPECT_GT(kept, 20U);
    EXPECT_LE(answers_->stats().resident_bytes, bytes_max);
  }
}

TEST_F(AnswerCacheTest, WritesOfAnotherProcessAreSeen) {
  open(kPlenty);
  put("a");
  const auto query = random_vector(random_, kDim);
  ask(query, exact_query(3));
  Process other(store_, 2);
  const auto theirs = *other.database().open_index(kName);
  ASSERT_TRUE(theirs->put(std::vector<VectorRecord>{{"b", query, {}}}));
  const QueryResult result = ask(query, exact_query(3));
  EXPECT_FALSE(result.performance.from_answer_cache);
  ASSERT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.hits[0].key, "b");
}

}  // namespace
}  // namespace varve::engine
