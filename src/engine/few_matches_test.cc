// Filters that let through from no row to all: how sure the answer says it is, and that it is.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "ann/test_data.h"
#include "engine/test_env.h"

namespace varve::engine {
namespace {

const IndexName kIndex{"test", "few"};
constexpr std::uint64_t kSeed = 20261129;
constexpr std::uint32_t kDim = 64;
constexpr std::size_t kRows = 6'000;
constexpr std::size_t kQueries = 6;
// Answered exactly by a pinned index.
constexpr std::size_t kFew = 256;

class FewMatches : public testing::TestWithParam<Metric> {
 protected:
  FewMatches()
      : random_(kSeed),
        data_(ann::generate({kRows + kQueries, kDim, 20, 10}, kSeed)),
        process_(store::make_memory_store(test_clock()), 1),
        model_(GetParam()) {
    index_ = *process_.database().create_index(kIndex, {kDim, GetParam()}, false);
    std::vector<VectorRecord> records;
    for (std::size_t row = 0; row < kRows; ++row) records.push_back(record(row));
    VectorSource source(records);
    EXPECT_TRUE(index_->import(source, {}));
  }

  // Numbers are spread over all clusters.
  VectorRecord record(std::size_t row) {
    const auto number = static_cast<std::size_t>(random_.below(kRows));
    const std::string key = fmt::format("k{:05}", row);
    numbers_[key] = number;
    VectorRecord made{key, random_row(), fmt::format(R"({{"n":{}}})", number)};
    model_.records[key] = made;
    return made;
  }
  std::vector<float> random_row() {
    const float* const row = data_.row(random_.below(kRows));
    return {row, row + kDim};
  }
  std::vector<float> query(std::size_t number) const {
    const float* const row = data_.row(kRows + number);
    return {row, row + kDim};
  }

  // The log replaces and removes rows of clusters.
  void change() {
    std::vector<VectorRecord> changed;
    std::vector<std::string> removed;
    for (int i = 0; i < 300; ++i) changed.push_back(record(random_.below(kRows)));
    for (int i = 0; i < 300; ++i) {
      removed.push_back(fmt::format("k{:05}", random_.below(kRows)));
      model_.records.erase(removed.back());
    }
    ASSERT_TRUE(index_->put(changed));
    ASSERT_TRUE(index_->remove(removed));
  }
  void pin() { ASSERT_TRUE(index_->pin({})); }

  // Rows with a number in [first, end).
  Model matching(std::size_t first, std::size_t end) {
    Model found(GetParam());
    for (const auto& [key, record] : model_.records) {
      if (numbers_[key] >= first && numbers_[key] < end) found.records.emplace(key, record);
    }
    return found;
  }

  // `must_be_exact`: of so many rows that match or fewer.
  void expect_honest(QueryOptions options, std::size_t must_be_exact) {
    for (const std::size_t count : {0, 1, 9, 10, 11, 60, 240, 300, 600, 3000, 6000}) {
      const std::size_t first = count < kRows ? kRows / 3 : 0;
      options.filter = fmt::format(R"({{"n":{{"$gte":{},"$lt":{}}}}})", first, first + count);
      SCOPED_TRACE(options.filter);
      const Model model = matching(first, first + count);
      for (std::size_t i = 0; i < kQueries; ++i) expect_honest(options, model, i, must_be_exact);
    }
  }

  void expect_honest(const QueryOptions& options, const Model& model, std::size_t number,
                     std::size_t must_be_exact) {
    const auto answer = index_->query(query(number), options);
    ASSERT_TRUE(answer) << answer.error().message;
    const bool is_exact = answer->performance.certainty == Certainty::exact;
    exact_ += is_exact ? 1 : 0;
    if (model.records.size() <= must_be_exact) {
      EXPECT_TRUE(is_exact) << model.records.size() << " rows match";
    }
    std::vector<std::string> truth, found;
    for (const auto& [distance, key] : model.nearest(query(number), options.k)) {
      truth.push_back(key);
    }
    for (const Hit& hit : answer->hits) {
      EXPECT_TRUE(model.records.contains(hit.key)) << hit.key;
      found.push_back(hit.key);
    }
    if (is_exact) {
      EXPECT_EQ(found, truth);
    }
    if (!options.nprobe) {
      EXPECT_EQ(found.size(), truth.size());
    }
  }

  base::Random random_;
  ann::Generated data_;
  Process process_;
  Model model_;
  std::map<std::string, std::size_t> numbers_;
  std::shared_ptr<Index> index_;
  std::size_t exact_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Metrics, FewMatches, testing::Values(Metric::euclidean, Metric::cosine));

TEST_P(FewMatches, OfAPinnedIndexAreAllSeen) {
  pin();
  expect_honest({}, kFew);
  expect_honest(recall_query(0.8), kFew);
  QueryOptions many;
  many.k = 100;
  expect_honest(many, 4 * many.k);
}

TEST_P(FewMatches, OfAnIndexThatIsNotPinnedAreSeenIfAllClustersAre) {
  expect_honest({}, 5);
  EXPECT_GT(exact_, 0U);
}

TEST_P(FewMatches, BesideALogAndStaleRowsAreAllSeen) {
  pin();
  change();
  expect_honest({}, kFew / 2);
  ASSERT_TRUE(index_->fold());
  expect_honest({}, 0);
  pin();
  expect_honest({}, kFew / 2);
}

TEST_P(FewMatches, AnAnswerOfSomeClustersIsExactIfTheyHoldEveryMatch) {
  pin();
  const std::uint64_t clusters = index_->info()->clusters;
  ASSERT_GT(clusters, 8U);
  QueryOptions options;
  for (std::uint32_t nprobe = 1; nprobe < clusters; nprobe *= 2) {
    options.nprobe = nprobe;
    expect_honest(options, 0);
  }
  EXPECT_GT(exact_, 0U) << "one row lies in one cluster";
}

TEST_P(FewMatches, CostNothingOfClustersWithoutOne) {
  pin();
  QueryOptions options;
  options.filter = R"({"n":{"$in":[7,8,9]}})";
  const Performance cost = index_->query(query(0), options)->performance;
  EXPECT_EQ(cost.rows_compared, matching(7, 10).records.size());
  EXPECT_LE(cost.nprobe, cost.rows_compared);
  EXPECT_LE(cost.rank_us, cost.total_us);
  options.filter = R"({"unknown":1})";
  EXPECT_EQ(index_->query(query(0), options)->performance.nprobe, 0U);
}

TEST_P(FewMatches, AreTheSameWhetherTheIndexIsPinnedOrNot) {
  std::vector<std::vector<Hit>> answers;
  const auto ask = [&](std::size_t count) {
    QueryOptions options;
    options.filter = fmt::format(R"({{"n":{{"$lt":{}}}}})", count);
    return index_->query(query(1), options)->hits;
  };
  constexpr std::size_t kCounts[] = {0, 3, 9};
  for (const std::size_t count : kCounts) answers.push_back(ask(count));
  pin();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto pinned = ask(kCounts[i]);
    ASSERT_EQ(pinned.size(), answers[i].size());
    for (std::size_t rank = 0; rank < pinned.size(); ++rank) {
      EXPECT_EQ(pinned[rank].key, answers[i][rank].key);
      EXPECT_EQ(pinned[rank].distance, answers[i][rank].distance);
    }
  }
}

}  // namespace
}  // namespace varve::engine
