// Queries with filters, against a model that knows which rows match without reading their metadata.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "ann/test_data.h"
#include "engine/filter/filter_samples.h"
#include "engine/filter/naive_filter.h"
#include "engine/test_env.h"

namespace varve::engine {
namespace {

using ::testing::SizeIs;

const IndexName kFiltered{"test", "filtered"};
constexpr std::uint64_t kSeed = 20261124;
constexpr std::size_t kRows = 6'000;
constexpr std::size_t kQueries = 12;

// What the metadata of a row says.
struct Facts {
  int year = 0;  // 0 to 999
  bool even = false;
  std::string text() const {
    return fmt::format(R"({{"year":{},"even":{},"tags":["t{}"]}})", year, even, year % 7);
  }
};

struct Filtering {
  const char* name;
  std::string json;
  std::function<bool(const Facts&)> matches;
};

std::vector<Filtering> filterings() {
  return {
      {"half", R"({"even":true})", [](const Facts& f) { return f.even; }},
      {"tenth", R"({"year":{"$lt":100}})", [](const Facts& f) { return f.year < 100; }},
      {"list", R"({"tags":"t3"})", [](const Facts& f) { return f.year % 7 == 3; }},
      {"hundredth", R"({"$and":[{"year":{"$gte":500}},{"year":{"$lt":510}}]})",
       [](const Facts& f) { return f.year >= 500 && f.year < 510; }},
      {"thousandth", R"({"year":{"$eq":77}})", [](const Facts& f) { return f.year == 77; }},
      {"none", R"({"year":{"$gt":5000}})", [](const Facts&) { return false; }},
      {"all", R"({"year":{"$exists":true}})", [](const Facts&) { return true; }},
  };
}

class FilteredSearch : public testing::TestWithParam<std::tuple<Metric, std::uint32_t>> {
 protected:
  FilteredSearch()
      : random_(kSeed),
        data_(ann::generate({kRows + kQueries, dim(), 20, 10}, kSeed)),
        store_(store::make_memory_store(test_clock())),
        model_(metric()) {}

  static Metric metric() { return std::get<0>(GetParam()); }
  static std::uint32_t dim() { return std::get<1>(GetParam()); }

  VectorRecord record(std::size_t row, const std::string& key) {
    facts_[key] = {static_cast<int>(random_.below(1000)), random_.below(2) == 0};
    VectorRecord made{key, {data_.row(row), data_.row(row) + dim()}, facts_[key].text()};
    model_.records[key] = made;
    return made;
  }
  std::vector<float> query(std::size_t number) const {
    const float* const row = data_.row(kRows + number);
    return {row, row + dim()};
  }

  void fill(Index& index) {
    std::vector<VectorRecord> records;
    for (std::size_t row = 0; row < kRows; ++row) {
      records.push_back(record(row, fmt::format("k{:05}", row)));
    }
    VectorSource source(records);
    ASSERT_TRUE(index.import(source, {}));
  }
  // Rows of the tail hide rows of clusters, and have other metadata.
  void change(Index& index) {
    std::vector<VectorRecord> changed;
    std::vector<std::string> removed;
    for (int i = 0; i < 400; ++i) {
      changed.push_back(record(random_.below(kRows), fmt::format("k{:05}", random_.below(kRows))));
    }
    ASSERT_TRUE(index.put(changed));
    for (int i = 0; i < 200; ++i) {
      removed.push_back(fmt::format("k{:05}", random_.below(kRows)));
      model_.records.erase(removed.back());
    }
    ASSERT_TRUE(index.remove(removed));
  }

  // The nearest that match, by a scan of the model.
  std::vector<std::string> truth(const Filtering& filtering, const std::vector<float>& query) {
    Model matching(metric());
    for (const auto& [key, record] : model_.records) {
      if (filtering.matches(facts_[key])) matching.records.emplace(key, record);
    }
    std::vector<std::string> keys;
    for (const auto& [distance, key] : matching.nearest(query, 10)) keys.push_back(key);
    return keys;
  }

  void expect_answers(Index& index) {
    for (const Filtering& filtering : filterings()) {
      SCOPED_TRACE(filtering.name);
      double good = 0, wanted = 0;
      for (std::size_t i = 0; i < kQueries; ++i) {
        const auto keys = truth(filtering, query(i));
        QueryOptions exact = exact_query();
        exact.filter = filtering.json;
        const auto all = index.query(query(i), exact);
        ASSERT_TRUE(all) << all.error().message;
        EXPECT_EQ(keys_of(*all), keys);
        QueryOptions quick = recall_query(0.95);
        quick.filter = filtering.json;
        const auto some = index.query(query(i), quick);
        ASSERT_TRUE(some) << some.error().message;
        ASSERT_THAT(some->hits, SizeIs(keys.size())) << "there are as many that match";
        const std::set<std::string> found(keys.begin(), keys.end());
        for (const Hit& hit : some->hits) {
          EXPECT_TRUE(filtering.matches(facts_[hit.key])) << hit.key;
          EXPECT_EQ(hit.metadata, facts_[hit.key].text());
          good += found.contains(hit.key) ? 1 : 0;
        }
        wanted += static_cast<double>(keys.size());
      }
      EXPECT_GE(good, 0.95 * wanted);
    }
  }
  static std::vector<std::string> keys_of(const QueryResult& result) {
    std::vector<std::string> keys;
    for (const Hit& hit : result.hits) keys.push_back(hit.key);
    return keys;
  }

  base::Random random_;
  ann::Generated data_;
  std::shared_ptr<store::ObjectStore> store_;
  Model model_;
  std::map<std::string, Facts> facts_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, FilteredSearch,
                         testing::Combine(testing::Values(Metric::euclidean, Metric::cosine),
                                          testing::Values(16U, 64U)));

TEST_P(FilteredSearch, AnswersWithTheNearestThatMatch) {
  Process process(store_, 1);
  const auto index = *process.database().create_index(kFiltered, {dim(), metric()}, false);
  fill(*index);
  expect_answers(*index);
  change(*index);
  expect_answers(*index);
  ASSERT_TRUE(index->fold());
  expect_answers(*index);
}

TEST_P(FilteredSearch, PinnedAndWithLittleMemoryAnswersAreTheSame) {
  Process writer(store_, 1);
  fill(**writer.database().create_index(kFiltered, {dim(), metric()}, false));
  Process narrow(store_, 2, [](Env& env) { env.held_bytes_max = 30'000; });
  const auto pinned = *writer.database().open_index(kFiltered);
  ASSERT_TRUE(pinned->pin({}));
  const auto index = *narrow.database().open_index(kFiltered);
  for (const Filtering& filtering : filterings()) {
    QueryOptions options;
    options.filter = filtering.json;
    const auto a = pinned->query(query(0), options).value();
    const auto b = index->query(query(0), options).value();
    EXPECT_EQ(keys_of(a), keys_of(b)) << filtering.name;
  }
}

TEST(FilteredSearch, AMalformedFilterIsInvalid) {
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = *process.database().create_index(kFiltered, {2, Metric::euclidean}, false);
  const auto message = [&](std::string_view filter) {
    QueryOptions options;
    options.filter = filter;
    const auto answer = index->query(std::vector<float>{1, 2}, options);
    if (!answer) {
      EXPECT_EQ(answer.error().kind, ErrorKind::invalid);
    }
    return answer ? "" : answer.error().message;
  };
  EXPECT_EQ(message(" { } "), "");
  EXPECT_EQ(message(R"({"a":1})"), "");
  EXPECT_THAT(message(R"({"a":{"$near":1}})"), testing::HasSubstr("$near"));
  EXPECT_EQ(message(R"({"a":{"$gt":"x"}})"), R"(filter: $gt of "a" wants a number, not a string)");
  EXPECT_EQ(message(R"({"a":1})"), "") << "also after one that is malformed";
}

// Rows of clusters, of the tail and of both, some without metadata: the same keys as
// docs/filters.md read word by word.
TEST(FilteredSearch, RandomFiltersOfAWholeIndexFindWhatTheNaiveReadingDoes) {
  constexpr std::size_t kCount = 500;
  Process process(store::make_memory_store(test_clock()), 1);
  const auto index = *process.database().create_index(kFiltered, {2, Metric::euclidean}, false);
  FilterSampler sampler(kSeed);
  base::Random random(kSeed);
  std::map<std::string, std::string> texts;
  std::size_t matched = 0;
  for (int round = 0; round < 12; ++round) {
    sampler.begin_part();
    std::vector<VectorRecord> records;
    for (std::size_t i = 0; i < kCount / 2; ++i) {
      const std::string key = fmt::format("k{}", random.below(kCount));
      texts[key] = sampler.metadata();
      records.push_back({key, random_vector(random, 2), texts[key]});
    }
    ASSERT_TRUE(index->put(records));
    if (round % 3 != 2) {
      ASSERT_TRUE(index->fold());
    }
    if (round == 6) {
      ASSERT_TRUE(index->compact({}));
    }
    for (int i = 0; i < 40; ++i) {
      QueryOptions options = exact_query(kCount);
      const std::string filter = sampler.filter();
      options.filter = filter;
      const auto answer = index->query(std::vector<float>{0, 0}, options);
      ASSERT_TRUE(answer) << filter << ": " << answer.error().message;
      std::set<std::string> found, expected;
      for (const Hit& hit : answer->hits) found.insert(hit.key);
      for (const auto& [key, text] : texts) {
        const auto row = text.empty() ? nlohmann::json() : nlohmann::json::parse(text);
        if (naive_matches(nlohmann::json::parse(filter), row)) expected.insert(key);
      }
      ASSERT_EQ(found, expected) << filter;
      matched += found.size();
    }
  }
  EXPECT_GT(matched, 1000U);
}

TEST(FilteredSearch, APartOfWhichNoRowMatchesCostsItsColumnsOnly) {
  const auto store = store::make_memory_store(test_clock());
  std::vector<VectorRecord> records;
  base::Random random(kSeed);
  for (std::size_t i = 0; i < 3'000; ++i) {
    records.push_back({fmt::format("k{}", i), random_vector(random, 64), R"({"a":1})"});
  }
  {
    Process writer(store, 1);
    const auto index = *writer.database().create_index(kFiltered, {64, Metric::euclidean}, false);
    VectorSource source(records);
    ASSERT_TRUE(index->import(source, {}));
  }
  const auto bytes = [&](std::string_view filter) {
    Process reader(store, 2);
    QueryOptions options;
    options.filter = filter;
    const auto index = *reader.database().open_index(kFiltered);
    const auto snapshot = *index->snapshot();
    const auto answer = *snapshot->query(std::vector<float>(64, 0.5F), options);
    EXPECT_EQ(answer.performance.rows_compared == 0, answer.hits.empty());
    EXPECT_LE(answer.performance.rows_scanned, records.size()) << "each row once";
    return answer.performance.store_bytes;
  };
  EXPECT_LT(bytes(R"({"a":2})") * 10, bytes(R"({"a":1})"));
}

}  // namespace
}  // namespace varve::engine
