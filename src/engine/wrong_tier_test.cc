// A cache tier that returns wrong bytes whose checksums agree.
#include <fmt/format.h>
#include <gtest/gtest.h>

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
    made[i] = {fmt::format("key-{:05}", i), random_vector(random, kDim), "{}"};
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

}  // namespace
}  // namespace varve::engine
