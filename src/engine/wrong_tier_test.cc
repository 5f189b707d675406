// A cache tier that returns wrong bytes whose checksums agree.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/test_env.h"
#include "engine/test_tier.h"

namespace varve::engine {
namespace {

const IndexName kName{"test", "index"};
constexpr std::uint32_t kDim = 8;

std::vector<VectorRecord> records(std::size_t count, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<VectorRecord> made(count);
  for (std::size_t i = 0; i < count; ++i) {
    made[i] = {fmt::format("key-{:05}", i), random_vector(random, kDim),
               fmt::format(R"({{"n":{}}})", i)};
  }
  return made;
}

void import(Index& index, std::vector<VectorRecord> rows) {
  VectorSource source(std::move(rows));
  const auto report = index.import(source, {});
  ASSERT_TRUE(report) << report.error().message;
}

// An index of 5,000 rows, all of which the tier has.
class WrongTier : public testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    auto index = process_.database().create_index(kName, {kDim, GetParam()}, false);
    ASSERT_TRUE(index);
    index_ = *index;
    import(*index_, records(5'000, 1));
    ASSERT_TRUE(index_->warm({}));
  }

  // Other keys of the same length.
  void rename_all() {
    tier_->alter(format::Section::ids, [](std::string& text) {
      for (std::size_t at = 0; (at = text.find("key-", at)) != std::string::npos; ++at) {
        text.replace(at, 4, "yek-");
      }
    });
  }

  void expect_sound(std::uint64_t vectors) {
    const auto report = index_->fsck({});
    ASSERT_TRUE(report);
    for (const auto& finding : report->findings) ADD_FAILURE() << finding.message;
    EXPECT_EQ(report->live_keys, vectors);
    EXPECT_EQ(index_->info()->vectors, vectors);
  }

  OpenTier* tier_ = nullptr;
  Process process_{store::make_memory_store(test_clock()), 1,
                   [this](Env& env) { tier_ = &use_open_tier(env); }};
  std::shared_ptr<Index> index_;
};
INSTANTIATE_TEST_SUITE_P(Metrics, WrongTier, testing::Values(Metric::euclidean, Metric::cosine));

TEST_P(WrongTier, DoesNotDecideWhatAFoldReplaces) {
  rename_all();
  ASSERT_TRUE(index_->put(records(100, 2)));
  ASSERT_EQ(*index_->fold(), 100U);
  expect_sound(5'000);
}

TEST_P(WrongTier, DoesNotDecideWhatAnImportReplaces) {
  rename_all();
  import(*index_, records(100, 2));
  expect_sound(5'000);
}

// Queries and gets, all that they say.
std::string answers(Index& index) {
  std::string text;
  for (std::uint64_t seed = 1; seed < 9; ++seed) {
    base::Random random(seed);
    const auto result = index.query(random_vector(random, kDim), exact_query());
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    if (!result) return "failed";
    for (const Hit& hit : result->hits) text += fmt::format("{} {:a}\n", hit.key, hit.distance);
  }
  const std::vector<std::string> keys{"key-00007", "key-00700"};
  const auto found = index.get(keys);
  EXPECT_TRUE(found);
  for (const auto& record : *found) text += record ? record->metadata : "none";
  return text;
}

void write_word(std::string& text, std::size_t at, std::uint32_t word) {
  std::memcpy(text.data() + at, &word, sizeof(word));
}

// Wrong bytes and whether the tier removes them.
class WrongWords : public WrongTier {
 protected:
  void expect_answers_from_the_store(format::Section section,
                                     const std::function<void(std::string&)>& change) {
    const std::string expected = answers(*index_);
    tier_->alter(section, change);
    EXPECT_EQ(answers(*index_), expected);
    tier_->keep_all();
    tier_->alter(section, change);
    EXPECT_EQ(answers(*index_), expected);
    EXPECT_EQ(answers(*index_), expected);
  }
};
INSTANTIATE_TEST_SUITE_P(Metrics, WrongWords, testing::Values(Metric::euclidean, Metric::cosine));

TEST_P(WrongWords, InTheEndsOfKeysAreRefused) {
  expect_answers_from_the_store(format::Section::ids, [](std::string& text) {
    write_word(text, 0, 0x7FFF'FFFF);
    write_word(text, 8, 1);
  });
}

TEST_P(WrongWords, InTheEndsOfMetadataAreRefused) {
  expect_answers_from_the_store(format::Section::metadata,
                                [](std::string& text) { write_word(text, 0, 0x7FFF'FFFF); });
}

TEST_P(WrongWords, InTheColumnsAreRefused) {
  const auto count = [&] {
    QueryOptions options = exact_query(10);
    options.filter = R"({"n":{"$lt":3}})";
    const auto result = index_->query(std::vector<float>(kDim, 1.0F), options);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result ? result->hits.size() : 0;
  };
  EXPECT_EQ(count(), 3U);
  // The last bytes are codes and strings of the last column.
  tier_->alter(format::Section::attributes,
               [](std::string& text) { write_word(text, text.size() - 8, 0x7F7F'7F7F); });
  EXPECT_EQ(count(), 3U);
}

TEST_P(WrongWords, InTheExtremeRowsAreRefused) {
  if (GetParam() != Metric::cosine) GTEST_SKIP() << "no norms";
  // The number of extreme rows, none here, is the last word.
  expect_answers_from_the_store(format::Section::rows, [](std::string& text) {
    write_word(text, text.size() - sizeof(std::uint32_t), 1);
    text += std::string(sizeof(std::uint32_t), '\x7f');
  });
}

TEST_P(WrongWords, ThatAreNoNumbersEndNoQuery) {
  tier_->alter(format::Section::rows, [](std::string& text) {
    std::fill(text.begin(), text.end() - (GetParam() == Metric::cosine ? 4 : 0), '\xff');
  });
  const std::vector<float> query(kDim, 1.0F);
  EXPECT_TRUE(index_->query(query, {}));
  EXPECT_TRUE(index_->query(query, exact_query()));
}

}  // namespace
}  // namespace varve::engine
