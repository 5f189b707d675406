// Indexes whose clusters hold rows in the order in which they were written.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/cluster_shape.h"
#include "engine/core.h"
#include "engine/section_layers.h"
#include "engine/test_env.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const IndexName kName{"test", "index"};
constexpr std::uint32_t kDim = 16;

std::shared_ptr<Index> create(Process& process, ClusterOrder order = ClusterOrder::time,
                              Metric metric = Metric::euclidean) {
  return *process.database().create_index(
      kName, {.dim = kDim, .metric = metric, .code_bits = 1, .order = order}, false);
}

VectorRecord record_of(std::uint64_t time, std::vector<float> vector) {
  return {fmt::format("k{:06}", time), std::move(vector), fmt::format(R"({{"t":{}}})", time)};
}

// Clumps that move along lines as time goes by.
class MovingRows {
 public:
  explicit MovingRows(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 20; ++i) {
      places_.push_back(random_vector(random_, kDim));
      ways_.push_back(random_vector(random_, kDim));
    }
  }
  std::vector<float> at(double time) {
    const std::uint64_t clump = random_.below(places_.size());
    std::vector<float> row = random_vector(random_, kDim);
    for (std::uint32_t i = 0; i < kDim; ++i) {
      row[i] = 0.2F * row[i] + places_[clump][i] + static_cast<float>(time) * ways_[clump][i];
    }
    return row;
  }
  base::Random& random() { return random_; }

 private:
  base::Random random_;
  std::vector<std::vector<float>> places_, ways_;
};

std::vector<VectorRecord> moving_records(MovingRows& rows, std::uint64_t begin, std::uint64_t end,
                                         double span) {
  std::vector<VectorRecord> records;
  for (std::uint64_t i = begin; i < end; ++i) {
    records.push_back(record_of(i, rows.at(static_cast<double>(i) / span)));
  }
  return records;
}

void import(Index& index, const std::vector<VectorRecord>& records) {
  VectorSource source(records);
  const auto report = index.import(source, {});
  ASSERT_TRUE(report) << report.error().message;
}

// Rows come in the order of their LSNs, cluster by cluster; no cluster is beyond what the bounds
// allow.
void expect_runs(Process& process, Index& index) {
  Core core(process.env(), *format::Uuid::from_hex(index.info()->uuid));
  const View view = *core.reader.refresh();
  const Generation& generation = *view.generation;
  ASSERT_EQ(generation.manifest().order, ClusterOrder::time);
  const ClusterBounds bounds = bounds_of(generation);
  Lsn last;
  for (std::size_t cluster = 0; cluster < generation.cluster_ids().size(); ++cluster) {
    EXPECT_LE(shape_of(generation, cluster).live, bounds.rows_max()) << "cluster " << cluster;
    for (const std::uint32_t number : generation.parts_of(cluster)) {
      const auto ids = *generation.read_ids(process.env(), number);
      for (std::uint32_t row = 0; row < ids->size(); ++row) {
        if (generation.parts()[number].is_stale(row)) continue;
        ASSERT_LT(last, ids->lsn(row)) << "cluster " << cluster << " key " << ids->key(row);
        last = ids->lsn(row);
      }
    }
  }
}

double recall_of(Index& index, MovingRows& rows, double recall, std::size_t queries) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < queries; ++i) {
    const auto query = rows.at(rows.random().unit());
    const auto truth = *index.query(query, exact_query());
    const auto answer = *index.query(query, recall_query(recall));
    for (const Hit& hit : answer.hits) {
      found += static_cast<std::size_t>(std::count_if(
          truth.hits.begin(), truth.hits.end(), [&](const Hit& t) { return t.key == hit.key; }));
    }
  }
  return static_cast<double>(found) / static_cast<double>(10 * queries);
}

TEST(TimeOrder, AnImportIsCutIntoRunsThatMeetTheRecallAskedFor) {
  for (const Metric metric : {Metric::euclidean, Metric::cosine}) {
    Process process(store::make_memory_store(test_clock()), 1);
    auto index = create(process, ClusterOrder::time, metric);
    MovingRows rows(3);
    import(*index, moving_records(rows, 0, 9'000, 9'000));
    expect_runs(process, *index);
    EXPECT_THAT(index->fsck({})->findings, IsEmpty());
    const IndexInfo info = *index->info();
    EXPECT_GT(info.clusters, 50U);
    // All of about the same size, which clusters by similarity are not.
    EXPECT_LE(info.cluster_rows_max, (9'000 + info.clusters - 1) / info.clusters);
    EXPECT_GE(recall_of(*index, rows, 0.95, 100), 0.95);
    EXPECT_GE(recall_of(*index, rows, 0.8, 100), 0.8);
  }
}

TEST(TimeOrder, IsPartOfTheConfiguration) {
  const auto store = store::make_memory_store(test_clock());
  Process process(store, 1);
  create(process);
  Process other(store, 2);
  EXPECT_EQ((*other.database().open_index(kName))->config().order, ClusterOrder::time);
  EXPECT_EQ((*other.database().open_index(kName))->info()->config.order, ClusterOrder::time);
  const IndexConfig by_similarity{.dim = kDim, .metric = Metric::euclidean};
  const auto refused = other.database().create_index(kName, by_similarity, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("order"));
  IndexConfig bad = by_similarity;
  bad.order = static_cast<ClusterOrder>(7);
  EXPECT_THAT(other.database().create_index({"test", "bad"}, bad, false).error().message,
              HasSubstr("order"));
}

TEST(TimeOrder, FoldsFillTheNewestClusterAndBeginOthers) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = create(process);
  MovingRows rows(4);
  import(*index, moving_records(rows, 0, 6'000, 8'000));
  const std::uint64_t clusters = index->info()->clusters;
  for (std::uint64_t begin = 6'000; begin < 8'000; begin += 100) {
    ASSERT_TRUE(index->put(moving_records(rows, begin, begin + 100, 8'000)));
    ASSERT_TRUE(index->fold());
    expect_runs(process, *index);
  }
  const IndexInfo info = *index->info();
  EXPECT_EQ(info.rows_rebuilt, 0U);
  EXPECT_GT(info.clusters, clusters + 20);
  EXPECT_LT(info.clusters, clusters + 60);
  // Only what is being filled is written again.
  EXPECT_LT(info.rows_rewritten, 4'000U);
  EXPECT_GE(recall_of(*index, rows, 0.95, 50), 0.93);
}

TEST(TimeOrder, AnIndexThatGrowsFromNothingIsCutOnceItIsLarge) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = create(process);
  MovingRows rows(5);
  for (std::uint64_t begin = 0; begin < 6'000; begin += 500) {
    ASSERT_TRUE(index->put(moving_records(rows, begin, begin + 500, 6'000)));
    ASSERT_TRUE(index->fold());
    if (begin < 3'500) {
      EXPECT_EQ(index->info()->clusters, 1U);
    }
    expect_runs(process, *index);
  }
  EXPECT_GT(index->info()->clusters, 50U);
  EXPECT_GE(recall_of(*index, rows, 0.95, 50), 0.93);
}

TEST(TimeOrder, SmallImportsAreJoined) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = create(process);
  MovingRows rows(6);
  import(*index, moving_records(rows, 0, 5'000, 6'000));
  const std::uint64_t clusters = index->info()->clusters;
  for (std::uint64_t begin = 5'000; begin < 5'400; begin += 8) {
    import(*index, moving_records(rows, begin, begin + 8, 6'000));
    expect_runs(process, *index);
  }
  // 50 imports of 400 rows together.
  EXPECT_LE(index->info()->clusters, clusters + 25);
  EXPECT_THAT(index->fsck({})->findings, IsEmpty());
}

TEST(TimeOrder, KeepsItsOrderAndItsAnswersUnderRandomChange) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Metric metric = seed % 2 == 0 ? Metric::cosine : Metric::euclidean;
    Process process(store::make_memory_store(test_clock()), seed);
    auto index = create(process, ClusterOrder::time, metric);
    MovingRows rows(seed + 10);
    base::Random& random = rows.random();
    Model model(metric);
    const auto put = [&](std::vector<VectorRecord> records) {
      for (const auto& record : records) model.records[record.key] = record;
      return records;
    };
    import(*index, put(moving_records(rows, 0, 5'000, 8'000)));
    for (int step = 0; step < 60; ++step) {
      SCOPED_TRACE(fmt::format("step {}", step));
      const std::uint64_t what = random.below(10);
      if (what < 5) {
        std::vector<VectorRecord> records;
        const std::uint64_t count = 1 + random.below(300);
        // Old ones are replaced, or new ones come.
        const bool replaces = random.below(2) == 0;
        for (std::uint64_t i = 0; i < count; ++i) {
          const std::uint64_t number = replaces ? random.below(5'000) : 5'000 + random.below(3'000);
          records.push_back(record_of(number, rows.at(random.unit())));
        }
        ASSERT_TRUE(index->put(put(records)));
      } else if (what == 5) {
        // A window of time is deleted.
        std::vector<std::string> gone;
        const std::uint64_t begin = random.below(5'000);
        for (std::uint64_t i = begin; i < begin + 400; ++i) gone.push_back(record_of(i, {}).key);
        ASSERT_TRUE(index->remove(gone));
        for (const auto& key : gone) model.records.erase(key);
      } else if (what < 9) {
        ASSERT_TRUE(index->fold());
      } else if (random.below(2) == 0) {
        ASSERT_TRUE(index->compact({}));
      } else {
        import(*index, put(moving_records(rows, 8'000, 8'000 + random.below(200), 8'000)));
      }
      expect_runs(process, *index);
      const auto query = rows.at(random.unit());
      const auto wanted = model.nearest(query, 10);
      const auto answer = *index->query(query, exact_query());
      ASSERT_EQ(answer.hits.size(), wanted.size());
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_EQ(answer.hits[i].key, wanted[i].second) << "rank " << i;
      }
    }
    EXPECT_EQ(index->info()->vectors, model.records.size());
    EXPECT_THAT(index->fsck({})->findings, IsEmpty());
    ASSERT_TRUE(index->compact({}));
    expect_runs(process, *index);
    EXPECT_GE(recall_of(*index, rows, 0.95, 50), 0.93);
  }
}

TEST(TimeOrder, CodesSaveRowsAlsoWhereAllClustersAreVisited) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = *process.database().create_index(
      kName, {.dim = 64, .metric = Metric::euclidean, .code_bits = 1, .order = ClusterOrder::time},
      false);
  base::Random random(9);
  std::vector<VectorRecord> records;
  for (std::uint64_t i = 0; i < 6'000; ++i) {
    records.push_back(record_of(i, random_vector(random, 64)));
  }
  import(*index, records);
  const auto query = random_vector(random, 64);
  const auto truth = *index->query(query, exact_query());
  // Runs of rows that time says nothing about are all alike.
  const auto answer = *index->query(query, recall_query(0.99));
  EXPECT_EQ(answer.performance.rows_scanned, 6'000U);
  EXPECT_LT(answer.performance.rows_compared, 3'000U);
  EXPECT_EQ(answer.performance.certainty, Certainty::approximate);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(answer.hits[i].key, truth.hits[i].key);
  const auto all = *index->query(query, recall_query(1));
  EXPECT_EQ(all.performance.certainty, Certainty::exact);
  EXPECT_EQ(all.performance.rows_compared, 6'000U);
}

// --- windows of time ---

std::string window(std::uint64_t begin, std::uint64_t end) {
  return fmt::format(R"({{"t":{{"$gte":{},"$lt":{}}}}})", begin, end);
}

QueryOptions in_window(std::uint64_t begin, std::uint64_t end) {
  QueryOptions options;
  options.filter = window(begin, end);
  return options;
}

// Bytes that a process that has nothing yet reads for one window.
std::uint64_t bytes_of_window(ClusterOrder order) {
  const auto store = store::make_memory_store(test_clock());
  Process writer(store, 1);
  auto index = create(writer, order);
  MovingRows rows(7);
  import(*index, moving_records(rows, 0, 20'000, 20'000));
  Process reader(store, 2);
  const auto snapshot = *(*reader.database().open_index(kName))->snapshot();
  const auto answer = *snapshot->query(rows.at(0.5), in_window(10'000, 10'200));
  EXPECT_EQ(answer.hits.size(), 10U);
  for (const Hit& hit : answer.hits) {
    EXPECT_GE(hit.key, "k010000");
    EXPECT_LT(hit.key, "k010200");
  }
  EXPECT_LE(answer.performance.rows_compared, 200U);
  return answer.performance.store_bytes;
}

TEST(TimeOrder, AWindowOfTimeReadsFewClusters) {
  const std::uint64_t by_time = bytes_of_window(ClusterOrder::time);
  const std::uint64_t by_similarity = bytes_of_window(ClusterOrder::similarity);
  // Columns of all clusters, rows of few: two thirds, at these sizes.
  EXPECT_LT(3 * by_time, 2 * by_similarity) << by_time << " and " << by_similarity << " bytes";
}

class WindowScan : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kRows = 6'000;

  // How many of the windows, in their order, found their rows in memory.
  std::uint64_t warm_windows(ClusterOrder order, base::Pool* background, CacheStatus& status) {
    const auto store = store::make_memory_store(test_clock());
    MovingRows rows(8);
    {
      Process writer(store, 1);
      import(*create(writer, order), moving_records(rows, 0, kRows, kRows));
    }
    Process reader(store, 2, [&](Env& env) {
      env.background = background;
      env.sections = *make_section_cache({}, *env.clock, nullptr);
    });
    auto index = *reader.database().open_index(kName);
    const auto snapshot = *index->snapshot();
    const std::uint64_t step = kRows / index->info()->clusters;
    std::uint64_t warm = 0;
    for (std::uint64_t begin = 0; begin + step <= kRows; begin += step) {
      const auto answer = *snapshot->query(rows.at(0.5), in_window(begin, begin + step));
      EXPECT_EQ(answer.hits.size(), 10U);
      warm += answer.performance.tier_reads.back().reads == 0;
    }
    status = *reader.database().cache_status(false);
    return warm;
  }
};

TEST_F(WindowScan, FindsTheNextClustersInMemory) {
  const auto inline_pool = base::make_inline_pool();
  CacheStatus status;
  const std::uint64_t warm = warm_windows(ClusterOrder::time, inline_pool.get(), status);
  const std::uint64_t windows = status.clusters_prefetched;
  EXPECT_GT(windows, 40U);
  EXPECT_GE(warm, windows - 2) << "of " << windows;
}

TEST_F(WindowScan, ReadsNothingAheadWithoutABackgroundOrATimeOrder) {
  CacheStatus status;
  EXPECT_LT(warm_windows(ClusterOrder::time, nullptr, status), 10U);
  EXPECT_EQ(status.clusters_prefetched, 0U);
  const auto inline_pool = base::make_inline_pool();
  static_cast<void>(warm_windows(ClusterOrder::similarity, inline_pool.get(), status));
  EXPECT_EQ(status.clusters_prefetched, 0U);
}

TEST_F(WindowScan, OneJobAtATimeOnAThread) {
  const auto pool = base::make_thread_pool(1);
  CacheStatus status;
  // How many depends on who is faster; none is lost or runs behind the end of the index.
  static_cast<void>(warm_windows(ClusterOrder::time, pool.get(), status));
  EXPECT_GT(status.clusters_prefetched, 0U);
}

}  // namespace
}  // namespace varve::engine
