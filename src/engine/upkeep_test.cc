// An index under change stays in shape by what follows its folds, without a rebuild.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "engine/core.h"
#include "engine/rewrite.h"
#include "engine/test_env.h"

namespace varve::engine {
namespace {

using ::testing::IsEmpty;

const IndexName kName{"test", "index"};
constexpr std::uint32_t kDim = 48;
constexpr std::size_t kLive = 9'000;  // enough for many clusters
constexpr std::size_t kBatch = 500;
constexpr std::uint64_t kClumps = 40;

// Clumps on a few lines, along which they move with time, so that after kLive more rows they share
// nothing with what was there.
class MovingRows {
 public:
  explicit MovingRows(std::uint64_t seed) : random_(seed) {
    for (std::uint64_t i = 0; i < kClumps; ++i) {
      places_.push_back(random_vector(random_, kDim));
      ways_.push_back(random_vector(random_, kDim));
    }
  }

  std::vector<float> at(double time) {
    const std::uint64_t clump = random_.below(kClumps);
    std::vector<float> row(kDim);
    for (std::uint32_t i = 0; i < kDim; ++i) {
      row[i] = places_[clump][i] + static_cast<float>(time) * ways_[clump][i] +
               static_cast<float>(0.3 * (random_.unit() - 0.5));
    }
    return row;
  }

 private:
  base::Random random_;
  std::vector<std::vector<float>> places_, ways_;
};

class Upkeep : public ::testing::TestWithParam<Metric> {
 protected:
  Upkeep()
      : pool_(base::make_inline_pool()),
        process_(store::make_memory_store(test_clock()), 3,
                 [&](Env& env) {
                   env.background = pool_.get();
                   env.fold_ops_min = 2 * kBatch;
                 }),
        index_(
            *process_.database().create_index(kName, {.dim = kDim, .metric = GetParam()}, false)),
        model_(GetParam()) {}
  ~Upkeep() override { index_->close(); }

  VectorRecord next_row() {
    const double time = static_cast<double>(made_) / static_cast<double>(kLive);
    VectorRecord record{fmt::format("row{}", made_++), rows_.at(time), {}};
    model_.records[record.key] = record;
    order_.push_back(record.key);
    return record;
  }

  // So many new rows, and as many of the oldest gone.
  void turn_over(std::size_t count) {
    for (std::size_t i = 0; i < count; i += kBatch) {
      std::vector<VectorRecord> batch;
      std::vector<std::string> removed;
      while (batch.size() < kBatch) batch.push_back(next_row());
      while (removed.size() < kBatch) {
        removed.push_back(order_.front());
        model_.records.erase(order_.front());
        order_.pop_front();
      }
      ASSERT_TRUE(index_->put(batch));
      ASSERT_TRUE(index_->remove(removed));
    }
  }

  void import_first_rows() {
    std::vector<VectorRecord> records;
    while (records.size() < kLive) records.push_back(next_row());
    VectorSource source(std::move(records));
    ASSERT_TRUE(index_->import(source, {}));
    ASSERT_GT(index_->info()->clusters, 40U);
  }

  double recall(double asked) {
    const double time = static_cast<double>(made_) / static_cast<double>(kLive);
    double found = 0, wanted = 0;
    for (int i = 0; i < 40; ++i) {
      const std::vector<float> query = rows_.at(time - 0.5);
      const auto exact = *index_->query(query, exact_query());
      const auto nearest = model_.nearest(query, 10);
      for (std::size_t j = 0; j < exact.hits.size(); ++j) {
        EXPECT_NEAR(exact.hits[j].distance, nearest[j].first, 1e-5);
      }
      const auto answer = *index_->query(query, recall_query(asked));
      for (const Hit& hit : answer.hits) found += hit.distance <= exact.hits.back().distance;
      wanted += static_cast<double>(exact.hits.size());
    }
    return found / wanted;
  }

  std::unique_ptr<base::Pool> pool_;
  Process process_;
  std::shared_ptr<Index> index_;
  Model model_;
  MovingRows rows_{5};
  std::uint64_t made_ = 0;
  std::deque<std::string> order_;
};

INSTANTIATE_TEST_SUITE_P(Metrics, Upkeep, ::testing::Values(Metric::euclidean, Metric::cosine));

TEST_P(Upkeep, HoldsShapeAndRecallWhileAllRowsAreReplacedAndMove) {
  import_first_rows();
  const std::uint64_t rebuilt = index_->info()->rows_rebuilt;
  for (int turn = 1; turn <= 2; ++turn) {
    SCOPED_TRACE(turn);
    turn_over(kLive);
    const IndexInfo info = *index_->info();
    EXPECT_EQ(info.background_error, "");
    EXPECT_EQ(info.tail_ops, 0U);
    EXPECT_EQ(info.vectors, kLive);
    EXPECT_EQ(info.rows_rebuilt, rebuilt);
    EXPECT_LE(info.cluster_rows_max, info.cluster_rows_limit);
    EXPECT_GT(info.clusters, 40U);
    EXPECT_LE(info.parts, 3 * info.clusters);
    EXPECT_LE(info.stale_rows, kLive / 5);
    // Nine for each row that comes, five for each that goes, and what splits move.
    EXPECT_LE(info.rows_rewritten, 17 * static_cast<std::uint64_t>(turn) * kLive);
    EXPECT_GE(recall(0.95), 0.95);
    EXPECT_THAT(index_->fsck({})->findings, IsEmpty());
  }
  EXPECT_GT(index_->info()->rows_rewritten, 0U);
}

TEST_P(Upkeep, RowsThatAreAllAlikeStayInOneCluster) {
  import_first_rows();
  const std::vector<float> same = rows_.at(0);
  std::vector<VectorRecord> crowd(kLive / 2);
  for (std::size_t i = 0; i < crowd.size(); ++i) crowd[i] = {fmt::format("same{}", i), same, {}};
  ASSERT_TRUE(index_->put(crowd));
  ASSERT_TRUE(index_->compact({}));
  const std::uint64_t rewritten = index_->info()->rows_rewritten;
  EXPECT_GT(rewritten, crowd.size());
  EXPECT_EQ(index_->compact({})->rows_rewritten, 0U);
  EXPECT_EQ(index_->info()->vectors, kLive + crowd.size());
  EXPECT_THAT(index_->fsck({})->findings, IsEmpty());
  EXPECT_NEAR(index_->query(same, exact_query())->hits[0].distance, 0, 1e-9);
  // A few more of them are no reason to write all again.
  const std::uint64_t before = index_->info()->rows_rewritten;
  for (int i = 0; i < 3; ++i) {
    std::vector<VectorRecord> more(60);
    for (auto& record : more) record = {fmt::format("more{}", made_++), same, {}};
    ASSERT_TRUE(index_->put(more));
    ASSERT_TRUE(index_->fold());
  }
  EXPECT_LT(index_->info()->rows_rewritten, before + crowd.size() / 2);
}

// A hot subject and a row here and there: only the hot cluster is worth writing.
TEST_P(Upkeep, AFewRowsInManyClustersAreNotPaidWithAllOfThose) {
  import_first_rows();
  const std::vector<float> hot = rows_.at(0);
  const std::uint64_t before = index_->info()->rows_rewritten;
  for (int round = 0; round < 4; ++round) {
    std::vector<VectorRecord> batch;
    for (int i = 0; i < 60; ++i) batch.push_back(next_row());
    for (int i = 0; i < 70; ++i) {
      VectorRecord record{fmt::format("hot{}-{}", round, i), hot, {}};
      record.vector[0] += static_cast<float>(i) * 1e-3F;
      batch.push_back(std::move(record));
    }
    ASSERT_TRUE(index_->put(batch));
    ASSERT_TRUE(index_->fold());
  }
  const IndexInfo info = *index_->info();
  EXPECT_LT(info.rows_rewritten - before, kLive / 3);
  EXPECT_LE(info.parts, 3 * info.clusters);
  EXPECT_THAT(index_->fsck({})->findings, IsEmpty());
}

// Nothing but a few rows, changed again and again.
TEST_P(Upkeep, ASingleClusterIsNotWrittenAgainAtEachFold) {
  std::vector<VectorRecord> few;
  while (few.size() < 500) few.push_back(next_row());
  ASSERT_TRUE(index_->put(few));
  ASSERT_TRUE(index_->fold());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(index_->put(std::vector<VectorRecord>{few[0]}));
    ASSERT_TRUE(index_->fold());
  }
  EXPECT_EQ(index_->info()->clusters, 1U);
  EXPECT_LE(index_->info()->rows_rewritten, 100U);
}

// Rows go one after the other until none is left.
TEST_P(Upkeep, ClustersThatRunEmptyDissolve) {
  import_first_rows();
  while (order_.size() > 100) {
    std::vector<std::string> removed;
    for (std::size_t i = 0; i < 1'500 && order_.size() > 100; ++i) {
      removed.push_back(order_.front());
      model_.records.erase(order_.front());
      order_.pop_front();
    }
    ASSERT_TRUE(index_->remove(removed));
    ASSERT_TRUE(index_->fold());
    const IndexInfo info = *index_->info();
    EXPECT_EQ(info.vectors, order_.size());
    EXPECT_THAT(index_->fsck({})->findings, IsEmpty());
    EXPECT_GE(recall(0.95), 0.9);
  }
  EXPECT_EQ(index_->info()->clusters, 1U);
  ASSERT_TRUE(index_->remove(std::vector<std::string>(order_.begin(), order_.end())));
  ASSERT_TRUE(index_->fold());
  EXPECT_EQ(index_->info()->vectors, 0U);
  EXPECT_THAT(index_->fsck({})->findings, IsEmpty());
}

// As when another process has rebuilt an index of no rows meanwhile.
TEST_P(Upkeep, ARewriteOfNoClustersIsPossible) {
  Core core(process_.env(), *format::Uuid::from_hex(index_->info()->uuid));
  const View view = *core.reader.refresh();
  for (const RewriteExtent extent : {RewriteExtent::changed, RewriteExtent::worn}) {
    CompactReport report;
    const auto commit = prepare_rewrite(core, core.job(1), view, extent, report);
    ASSERT_TRUE(commit) << commit.error().message;
    EXPECT_THAT(commit->manifest.groups, IsEmpty());
    EXPECT_EQ(report.rows_rewritten, 0U);
  }
}

// What is far from all clusters goes to one of them, which grows until it is split.
TEST_P(Upkeep, ANewSubjectGetsClustersOfItsOwn) {
  import_first_rows();
  const std::uint64_t before = index_->info()->clusters;
  std::vector<VectorRecord> news;
  std::vector<float> middle(kDim, 0);
  middle[0] = 20;
  base::Random random(9);
  for (std::size_t i = 0; i < 2'000; ++i) {
    std::vector<float> row = middle;
    for (float& value : row) value += static_cast<float>(random.unit() - 0.5);
    news.push_back({fmt::format("news{}", i), row, {}});
  }
  for (std::size_t i = 0; i < news.size(); i += kBatch) {
    ASSERT_TRUE(index_->put(std::span(news).subspan(i, kBatch)));
  }
  ASSERT_TRUE(index_->fold());
  const IndexInfo info = *index_->info();
  EXPECT_EQ(info.background_error, "");
  EXPECT_GT(info.clusters, before + 5);
  EXPECT_EQ(info.vectors, kLive + news.size());
  EXPECT_THAT(index_->fsck({})->findings, IsEmpty());
  const auto answer = *index_->query(middle, recall_query(0.95));
  EXPECT_LT(answer.performance.rows_scanned, info.vectors);
  for (const Hit& hit : answer.hits) EXPECT_THAT(hit.key, ::testing::StartsWith("news"));
}

}  // namespace
}  // namespace varve::engine
