// Outliers against a plain double loop, and that they cost far less.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/test_env.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const IndexName kName{"test", "index"};

using Records = std::map<std::string, VectorRecord>;
using Scores = std::vector<std::pair<double, std::string>>;

Scores naive_outliers(Metric metric, const Records& records, std::size_t count, std::size_t k) {
  Scores scores;
  for (const auto& [key, record] : records) {
    std::vector<double> others;
    for (const auto& [other_key, other] : records) {
      if (other_key == key) continue;
      others.push_back(distance_between(metric, record.vector, other.vector));
    }
    if (others.empty()) continue;
    std::sort(others.begin(), others.end());
    scores.emplace_back(others[std::min(k, others.size()) - 1], key);
  }
  std::sort(scores.begin(), scores.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  scores.resize(std::min(count, scores.size()));
  return scores;
}

void expect_as_naive(Index& index, Metric metric, const Records& records,
                     const OutlierOptions& options) {
  const Scores wanted = naive_outliers(metric, records, options.count, options.neighbors);
  const auto report = index.outliers(options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rows, records.size());
  ASSERT_THAT(report->outliers, SizeIs(wanted.size()));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Hit& hit = report->outliers[i];
    EXPECT_NEAR(hit.distance, wanted[i].first, 1e-9 * (1 + wanted[i].first)) << "rank " << i;
    // Of distances that differ by rounding only, either may come first.
    const bool is_tie = (i > 0 && wanted[i - 1].first - wanted[i].first < 1e-9) ||
                        (i + 1 < wanted.size() && wanted[i].first - wanted[i + 1].first < 1e-9);
    if (!is_tie) {
      EXPECT_EQ(hit.key, wanted[i].second) << "rank " << i;
    }
    EXPECT_EQ(hit.metadata, records.at(hit.key).metadata);
  }
}

std::string metadata_of(std::size_t i) { return fmt::format(R"({{"n":{}}})", i % 3); }

VectorRecord record_of(std::size_t i, std::vector<float> vector) {
  return {fmt::format("k{:05}", i), std::move(vector), metadata_of(i)};
}

std::vector<float> clumped_vector(base::Random& random, std::uint32_t dim, std::size_t clumps) {
  std::vector<float> vector = random_vector(random, dim);
  const std::size_t clump = random.below(clumps);
  for (std::uint32_t j = 0; j < dim; ++j) {
    vector[j] = 0.1F * vector[j] + static_cast<float>((clump * 31 + j * 17) % 23);
  }
  return vector;
}

void put_all(Index& index, const std::vector<VectorRecord>& records, Records& model) {
  ASSERT_TRUE(index.put(records));
  for (const auto& record : records) model[record.key] = record;
}

void import_all(Index& index, const std::vector<VectorRecord>& records, Records& model,
                std::uint32_t clusters) {
  VectorSource source(records);
  ImportOptions options;
  options.clusters = clusters;
  const auto report = index.import(source, options);
  ASSERT_TRUE(report) << report.error().message;
  for (const auto& record : records) model[record.key] = record;
}

// Several parts a cluster, stale rows, equal rows, rows that the log replaces, deletes or adds.
void fill(Index& index, std::uint32_t dim, std::uint32_t clusters, base::Random& random,
          Records& model) {
  std::vector<VectorRecord> records;
  for (std::size_t i = 0; i < 600; ++i) {
    records.push_back(record_of(i, clumped_vector(random, dim, 5)));
  }
  for (std::size_t i = 0; i < 40; ++i) records[i].vector = records[100].vector;
  import_all(index, records, model, clusters);
  for (int fold = 0; fold < 2; ++fold) {
    records.clear();
    for (std::size_t i = 0; i < 60; ++i) {
      records.push_back(record_of(random.below(900), clumped_vector(random, dim, 6)));
    }
    put_all(index, records, model);
    ASSERT_TRUE(index.fold());
  }
  records.clear();
  for (std::size_t i = 0; i < 30; ++i) {
    records.push_back(record_of(random.below(1'000), random_vector(random, dim)));
  }
  put_all(index, records, model);
  std::vector<std::string> gone;
  for (std::size_t i = 0; i < 50; ++i) gone.push_back(record_of(random.below(900), {}).key);
  ASSERT_TRUE(index.remove(gone));
  for (const auto& key : gone) model.erase(key);
}

TEST(Outliers, AreThoseOfADoubleLoop) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    base::Random random(seed);
    const Metric metric = seed % 2 == 0 ? Metric::euclidean : Metric::cosine;
    const std::uint32_t dim = seed % 3 == 0 ? 64 : 6;
    Process process(store::make_memory_store(test_clock()), seed, [&](Env& env) {
      if (seed % 3 == 1) env.held_bytes_max = 1;
    });
    auto index = *process.database().create_index(kName, {.dim = dim, .metric = metric}, false);
    Records model;
    fill(*index, dim, seed < 3 ? 1 : 12, random, model);
    for (const std::uint32_t count : {1U, 20U, 300U}) {
      for (const std::uint32_t neighbors : {1U, 10U, 200U}) {
        SCOPED_TRACE(fmt::format("count {} neighbors {}", count, neighbors));
        expect_as_naive(*index, metric, model, {.count = count, .neighbors = neighbors});
      }
    }
    ASSERT_TRUE(index->pin({}));
    expect_as_naive(*index, metric, model, {.count = 20, .neighbors = 5});
    ASSERT_TRUE(index->compact({}));
    expect_as_naive(*index, metric, model, {.count = 20, .neighbors = 5});
  }
}

TEST(Outliers, OfALogThatIsNotFolded) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index =
      *process.database().create_index(kName, {.dim = 5, .metric = Metric::euclidean}, false);
  base::Random random(11);
  Records model;
  std::vector<VectorRecord> records;
  for (std::size_t i = 0; i < 1'500; ++i) {
    records.push_back(record_of(i % 1'400, clumped_vector(random, 5, 4)));
  }
  put_all(*index, records, model);
  expect_as_naive(*index, Metric::euclidean, model, {.count = 30, .neighbors = 4});
}

TEST(Outliers, OfRowsThatMatchAFilter) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index =
      *process.database().create_index(kName, {.dim = 6, .metric = Metric::euclidean}, false);
  base::Random random(12);
  Records model;
  fill(*index, 6, 12, random, model);
  std::erase_if(model, [](const auto& entry) { return entry.second.metadata != metadata_of(1); });
  expect_as_naive(*index, Metric::euclidean, model,
                  {.count = 20, .neighbors = 5, .filter = R"({"n":1})"});
}

TEST(Outliers, OfFewerRowsThanNeighbours) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index =
      *process.database().create_index(kName, {.dim = 3, .metric = Metric::euclidean}, false);
  EXPECT_THAT(index->outliers({})->outliers, IsEmpty());
  base::Random random(13);
  Records model;
  for (std::size_t i = 0; i < 5; ++i) {
    put_all(*index, {record_of(i, random_vector(random, 3))}, model);
    expect_as_naive(*index, Metric::euclidean, model, {});
    ASSERT_TRUE(index->fold());
    expect_as_naive(*index, Metric::euclidean, model, {});
  }
}

TEST(Outliers, OfEqualRowsGoByKey) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index =
      *process.database().create_index(kName, {.dim = 4, .metric = Metric::euclidean}, false);
  Records model;
  std::vector<VectorRecord> records;
  for (std::size_t i = 0; i < 500; ++i) records.push_back(record_of(i, {1, 2, 3, 4}));
  import_all(*index, records, model, 0);
  const auto report = index->outliers({.count = 7, .neighbors = 3});
  ASSERT_TRUE(report);
  ASSERT_THAT(report->outliers, SizeIs(7));
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(report->outliers[i].key, record_of(i, {}).key);
    EXPECT_EQ(report->outliers[i].distance, 0);
  }
}

TEST(Outliers, OfMagnitudesThatOverflowFloat) {
  for (const double scale : {1e-41, 1e19, 3e38}) {
    Process process(store::make_memory_store(test_clock()), 1);
    auto index =
        *process.database().create_index(kName, {.dim = 4, .metric = Metric::euclidean}, false);
    base::Random random(14);
    Records model;
    std::vector<VectorRecord> records;
    for (std::size_t i = 0; i < 300; ++i) {
      records.push_back(record_of(i, random_vector(random, 4)));
      for (float& value : records.back().vector) {
        value = static_cast<float>(static_cast<double>(value) * scale);
      }
    }
    import_all(*index, records, model, 5);
    const Scores wanted = naive_outliers(Metric::euclidean, model, 10, 3);
    const auto report = index->outliers({.count = 10, .neighbors = 3});
    ASSERT_TRUE(report);
    ASSERT_THAT(report->outliers, SizeIs(10));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(report->outliers[i].key, wanted[i].second) << scale << " rank " << i;
    }
  }
}

TEST(Outliers, ArePlantedOnesAtFarLessThanAllPairs) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index =
      *process.database().create_index(kName, {.dim = 16, .metric = Metric::euclidean}, false);
  base::Random random(15);
  Records model;
  std::vector<VectorRecord> records;
  for (std::size_t i = 0; i < 20'000; ++i) {
    records.push_back(record_of(i, clumped_vector(random, 16, 200)));
  }
  std::vector<std::string> planted;
  for (std::size_t i = 0; i < 20; ++i) {
    VectorRecord& record = records[i * 997];
    for (float& value : record.vector) value = -3 - static_cast<float>(random.unit() * 30);
    planted.push_back(record.key);
  }
  import_all(*index, records, model, 0);
  std::vector<std::string> phases;
  OutlierOptions options;
  options.progress = [&](const Progress& progress) {
    EXPECT_LE(progress.done, progress.total);
    if (phases.empty() || phases.back() != progress.phase) phases.push_back(progress.phase);
  };
  const auto report = index->outliers(options);
  ASSERT_TRUE(report);
  std::vector<std::string> found;
  for (const Hit& hit : report->outliers) found.push_back(hit.key);
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(planted));
  EXPECT_THAT(phases, testing::ElementsAre("bound", "compare"));
  EXPECT_EQ(report->rows, 20'000U);
  EXPECT_GT(report->dropped, 19'900U);
  EXPECT_LT(report->pair_share, 0.02);
  EXPECT_DOUBLE_EQ(report->pair_share * 20'000 * 19'999, static_cast<double>(report->distances));
}

TEST(Outliers, RefuseBadOptionsByName) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index =
      *process.database().create_index(kName, {.dim = 3, .metric = Metric::euclidean}, false);
  EXPECT_THAT(index->outliers({.count = 0}).error().message, HasSubstr("count 0"));
  EXPECT_THAT(index->outliers({.count = 10'001}).error().message, HasSubstr("count 10001"));
  EXPECT_THAT(index->outliers({.neighbors = 0}).error().message, HasSubstr("neighbors 0"));
  EXPECT_THAT(index->outliers({.neighbors = 1'001}).error().message, HasSubstr("neighbors 1001"));
  const auto bad = index->outliers({.filter = "{\"n\":{\"$x\":1}}"});
  EXPECT_THAT(bad.error().message, HasSubstr("$x"));
  EXPECT_EQ(bad.error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace varve::engine
