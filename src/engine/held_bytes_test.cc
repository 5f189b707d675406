// What one call holds on to at the same time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/test_env.h"
#include "engine/test_tier.h"

namespace varve::engine {
namespace {

const IndexName kName{"test", "index"};
constexpr std::uint32_t kDim = 64;  // enough for codes
constexpr std::size_t kRows = 6'000;

std::string key_of(std::size_t row) { return fmt::format("key of row {:05}", row); }

std::vector<VectorRecord> records() {
  base::Random random(1);
  std::vector<VectorRecord> made(kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    made[i] = {key_of(i), random_vector(random, kDim), fmt::format(R"({{"row": {}}})", i)};
  }
  return made;
}

// A process all of whose sections come from a tier that counts what it lent.
class Holder {
 public:
  Holder(const std::shared_ptr<store::ObjectStore>& store, std::uint64_t held_bytes_max)
      : process_(store, 1, [&](Env& env) {
          env.held_bytes_max = held_bytes_max;
          tier_ = &use_open_tier(env);
        }) {}

  std::shared_ptr<Index> open() {
    auto index = *process_.database().open_index(kName);
    EXPECT_TRUE(index->warm({}));
    tier_->lent().most = 0;
    return index;
  }
  Database& database() { return process_.database(); }
  std::uint64_t held_now() { return tier_->lent().now; }
  std::uint64_t held_most() { return tier_->lent().most; }

 private:
  OpenTier* tier_ = nullptr;
  Process process_;
};

std::string text_of(const QueryResult& result) {
  std::string text;
  for (const Hit& hit : result.hits) {
    text += fmt::format("{} {:a} {}\n", hit.key, hit.distance, hit.metadata);
  }
  return text;
}

std::string all_queries(Index& index) {
  base::Random random(2);
  std::string text;
  for (const std::uint32_t k : {1U, 10U, 200U}) {
    const auto query = random_vector(random, kDim);
    QueryOptions probing;
    probing.k = k;
    for (const QueryOptions& options : {exact_query(k), probing}) {
      const auto result = index.query(query, options);
      EXPECT_TRUE(result) << result.error().message;
      if (result) text += text_of(*result);
    }
  }
  return text;
}

std::string all_records(Index& index) {
  std::vector<std::string> keys;
  for (std::size_t row = 0; row < kRows; row += 3) keys.push_back(key_of(row));
  const auto found = index.get(keys);
  EXPECT_TRUE(found) << found.error().message;
  std::string text;
  for (const auto& record : *found) {
    if (record) text += fmt::format("{} {} {}\n", record->key, record->vector[0], record->metadata);
  }
  return text;
}

// Pages of a hundred, and what the last of them says.
std::string all_pages(Index& index) {
  std::string text, after;
  do {
    const auto page = index.list(after, 100);
    EXPECT_TRUE(page) << (page ? "" : page.error().message);
    if (!page) return "failed";
    for (const std::string& key : page->keys) text += key + "\n";
    after = page->next;
  } while (!after.empty());
  return text;
}

class HeldBytes : public testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    Holder writer(store_, kWide);
    ASSERT_TRUE(writer.database().create_index(kName, {kDim, GetParam()}, false));
    VectorSource source(records());
    ASSERT_TRUE((*writer.database().open_index(kName))->import(source, {}));
  }

  // The answers are the same, and the narrow limit holds.
  void expect_narrow(std::string (*ask)(Index&)) {
    Holder wide(store_, kWide), narrow(store_, kNarrow);
    const std::string expected = ask(*wide.open());
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(ask(*narrow.open()), expected);
    EXPECT_GT(wide.held_most(), 2 * kNarrow);
    EXPECT_LE(narrow.held_most(), kNarrow);
  }

  static constexpr std::uint64_t kWide = 64ULL << 20;
  static constexpr std::uint64_t kNarrow = 64'000;  // no less than the largest section
  std::shared_ptr<store::ObjectStore> store_ = store::make_memory_store(test_clock());
};
INSTANTIATE_TEST_SUITE_P(Metrics, HeldBytes, testing::Values(Metric::euclidean, Metric::cosine));

TEST_P(HeldBytes, OfAQueryAreLimited) { expect_narrow(all_queries); }
TEST_P(HeldBytes, OfAGetAreLimited) { expect_narrow(all_records); }

TEST_P(HeldBytes, OfAListingAreLimited) {
  expect_narrow(all_pages);
  Holder narrow(store_, kNarrow);
  const auto index = narrow.open();
  std::string expected;
  for (std::size_t row = 0; row < kRows; ++row) expected += key_of(row) + "\n";
  EXPECT_EQ(all_pages(*index), expected);
  EXPECT_EQ(index->list(key_of(17), 1)->keys, std::vector{key_of(18)});
  EXPECT_EQ(index->list(key_of(5'990), 100)->keys.size(), 9U);
  EXPECT_EQ(index->list(key_of(5), 5'000)->keys.size(), 5'000U);
  EXPECT_EQ(narrow.held_now(), 0U);
}

TEST_P(HeldBytes, AreCountedInWhatASnapshotTakes) {
  Holder holder(store_, kWide);
  const auto index = holder.open();
  const auto snapshot = *index->snapshot();
  const std::uint64_t before = snapshot->resident_bytes();
  EXPECT_GT(before, kRows * kDim * sizeof(float));
  all_records(*index);
  const std::uint64_t with_map = snapshot->resident_bytes();
  EXPECT_GT(with_map, before + kRows);
  all_pages(*index);
  EXPECT_GT(snapshot->resident_bytes(), with_map + kRows * key_of(0).size());
}

}  // namespace
}  // namespace varve::engine
