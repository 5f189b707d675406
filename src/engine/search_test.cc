// Answers at the edges: magnitudes near the limits of float32, rows that the log replaced, clusters
// of very many bytes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/test_env.h"

namespace varve::engine {
namespace {

using ::testing::SizeIs;

const IndexName kName{"test", "index"};

std::shared_ptr<Index> create(Process& process, std::uint32_t dim, Metric metric) {
  return *process.database().create_index(kName, {.dim = dim, .metric = metric}, false);
}

std::vector<VectorRecord> random_records(std::size_t count, std::uint32_t dim, double scale,
                                         std::uint64_t seed) {
  base::Random random(seed);
  std::vector<VectorRecord> records(count);
  for (std::size_t i = 0; i < count; ++i) {
    records[i].key = fmt::format("k{:05}", i);
    records[i].vector = random_vector(random, dim);
    for (float& value : records[i].vector) {
      value = static_cast<float>(static_cast<double>(value) * scale);
    }
  }
  return records;
}

void import(Index& index, const std::vector<VectorRecord>& records) {
  VectorSource source(records);
  const auto report = index.import(source, {});
  ASSERT_TRUE(report) << report.error().message;
}

void expect_as_model(Index& index, const std::vector<VectorRecord>& records, Metric metric,
                     const std::vector<float>& query, const QueryOptions& options) {
  Model model(metric);
  for (const auto& record : records) model.records[record.key] = record;
  const auto wanted = model.nearest(query, options.k);
  const auto answer = index.query(query, options);
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_THAT(answer->hits, SizeIs(wanted.size()));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(answer->hits[i].key, wanted[i].second) << "rank " << i;
  }
}

// Lengths from the smallest to the largest that float32 holds, in one cosine index.
std::vector<VectorRecord> of_all_lengths() {
  auto records = random_records(300, 4, 1, 11);
  const double lengths[] = {1e-44, 1e-40, 1e-30, 1e-20, 1e-10, 1, 1e10, 1e20, 1e30, 3e38};
  for (std::size_t i = 0; i < records.size(); ++i) {
    for (float& value : records[i].vector) {
      value = static_cast<float>(static_cast<double>(value) * lengths[i % std::size(lengths)]);
    }
    // The shortest may have been rounded to zero, which has no direction.
    records[i].vector[0] += records[i].vector[0] == 0 ? 1e-44F : 0.0F;
  }
  return records;
}

TEST(Search, RanksByDirectionWhateverTheLength) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = create(process, 4, Metric::cosine);
  const auto records = of_all_lengths();
  import(*index, records);
  for (const float length : {1e-44F, 1e-40F, 1e-20F, 1.0F, 1e20F, 1e38F}) {
    const std::vector<float> query = {length, length, -length, length};
    expect_as_model(*index, records, Metric::cosine, query, exact_query());
    expect_as_model(*index, records, Metric::cosine, query, {});
  }
}

TEST(Search, OrdersDistancesThatOverflowOrUnderflowFloat) {
  for (const double scale : {1e-41, 1e-22, 1e19, 3e38}) {
    Process process(store::make_memory_store(test_clock()), 1);
    auto index = create(process, 4, Metric::euclidean);
    const auto records = random_records(6'000, 4, scale, 12);
    import(*index, records);
    const auto query = random_records(1, 4, scale, 13)[0].vector;
    expect_as_model(*index, records, Metric::euclidean, query, exact_query());
    const auto answer = index->query(query, {});
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_THAT(answer->hits, SizeIs(10)) << scale;
  }
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = create(process, 4, Metric::euclidean);
  const auto records = random_records(6'000, 4, 3e38, 12);
  import(*index, records);
  expect_as_model(*index, records, Metric::euclidean, records[7].vector, {});
}

TEST(Search, VisitsMoreClustersWhileTheLogHidesThoseVisited) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = create(process, 8, Metric::euclidean);
  auto records = random_records(16'000, 8, 0.2, 14);
  for (std::size_t i = 0; i < records.size(); ++i) records[i].vector[i % 8] += 5;
  import(*index, records);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < records.size(); i += 8) keys.push_back(records[i].key);
  ASSERT_TRUE(index->remove(keys));
  std::vector<float> query(8, 0.0F);
  query[0] = 5;
  for (const double recall : {0.8, 0.95, 0.99}) {
    const auto answer = index->query(query, recall_query(recall));
    ASSERT_TRUE(answer);
    EXPECT_THAT(answer->hits, SizeIs(10));
    for (const Hit& hit : answer->hits) EXPECT_NE(std::stoi(hit.key.substr(1)) % 8, 0) << hit.key;
  }
  QueryOptions many;
  many.k = 10'000;
  EXPECT_THAT(index->query(query, many)->hits, SizeIs(10'000));
}

std::uint64_t largest_object_bytes(store::ObjectStore& store) {
  std::uint64_t largest = 0;
  const auto page =
      store.list("", "", 1000, base::Deadline::after(test_clock(), std::chrono::seconds(1)));
  EXPECT_TRUE(page && !page->more);
  for (const auto& entry : page->entries) largest = std::max(largest, entry.size);
  return largest;
}

TEST(Search, KeepsClustersOfVeryManyBytesInSeveralParts) {
  const auto memory = store::make_memory_store(test_clock());
  Process process(memory, 1);
  auto index = create(process, 4, Metric::euclidean);
  base::Random random(15);
  std::string noise(30'000, ' ');
  std::vector<VectorRecord> records(1'000);
  for (std::size_t i = 0; i < records.size(); ++i) {
    for (char& c : noise) c = static_cast<char>(']' + random.below(33));
    // One point for all rows, so that no training divides them.
    records[i] = {fmt::format("k{:05}", i), {1, 2, 3, 4}, "{\"text\":\"" + noise + "\"}"};
  }
  import(*index, records);
  EXPECT_LT(largest_object_bytes(*memory), 10'000'000U);
  EXPECT_TRUE(index->fsck({})->findings.empty());
  const auto compacted = index->compact({});
  ASSERT_TRUE(compacted) << compacted.error().message;
  EXPECT_EQ(compacted->clusters_rewritten, 0U);
  EXPECT_THAT(index->query({{1, 2, 3, 4}}, exact_query(1'000))->hits, SizeIs(1'000));
}

TEST(Search, LeavesASingleClusterThatWasAskedForAlone) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = create(process, 8, Metric::euclidean);
  VectorSource source(random_records(9'000, 8, 1, 16));
  ImportOptions options;
  options.clusters = 1;
  ASSERT_TRUE(index->import(source, options));
  ASSERT_TRUE(index->compact({}));
  EXPECT_EQ(index->info()->clusters, 1U);
}

}  // namespace
}  // namespace varve::engine
