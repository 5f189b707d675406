// Indexes whose codes keep their error along directions (kernels/directions.h).
#include <gmock/gmock.h>

#include "engine/coded_search_test.h"

namespace varve::engine {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kBits = 2.5;
constexpr std::uint32_t kDim = 256;
constexpr std::byte kKind{11};

QueryOptions codes_only() {
  QueryOptions options = recall_query(0.99);
  options.codes_only = true;
  return options;
}

// Names of the objects that hold directions.
std::vector<std::string> directions_in(store::ObjectStore& store) {
  std::vector<std::string> found;
  const auto page = store.list("", "", 10'000, base::Deadline::never());
  EXPECT_TRUE(page && !page->more);
  for (const auto& entry : page->entries) {
    const auto object = *store.get(entry.key, base::Deadline::never());
    if (base::ByteSpan(object->bytes)[10] == kKind) found.push_back(entry.key);
  }
  return found;
}

class AlongDirections : public OfKinds {
 protected:
  const std::shared_ptr<store::MemoryStore> store_ = store::make_memory_store(test_clock());

  static void expect_found(Index& index, const Data& data, const char* when) {
    // The grid alone finds less: FindMoreThanTheGridAlone.
    EXPECT_GE(found_by(index, data, codes_only()).recall, 0.9) << when;
    EXPECT_THAT(index.fsck({})->findings, IsEmpty()) << when;
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, AlongDirections, kinds());

TEST_P(AlongDirections, FindMoreThanTheGridAlone) {
  const Data data = clumps(4'000, kDim, 5, integral());
  Process process(store_, 1);
  const auto index = filled(process.database(), data, metric(), kBits);
  ASSERT_THAT(directions_in(*store_), SizeIs(1));
  EXPECT_EQ(index->config().code_bits, kBits);
  const double with = found_by(*index, data, codes_only()).recall;

  // Of few rows no directions are told, and those that come later are coded without them.
  const auto other_store = store::make_memory_store(test_clock());
  Process other(other_store, 1);
  const auto plain = *other.database().create_index(kCoded, {kDim, metric(), kBits}, false);
  ASSERT_TRUE(plain->put(std::span(data.records).first(900)));
  ASSERT_TRUE(plain->fold());
  VectorSource rest(data.records);
  ASSERT_TRUE(plain->import(rest, {}));
  ASSERT_THAT(directions_in(*other_store), IsEmpty());
  const double without = found_by(*plain, data, codes_only()).recall;
  EXPECT_LT(1 - with, 0.85 * (1 - without)) << with << ' ' << without;
}

// What folds write is coded as what is there.
TEST_P(AlongDirections, StayWhileClustersChange) {
  const Data data = clumps(5'000, kDim, 6, integral());
  Process process(store_, 1);
  Data first = data;
  first.records.resize(4'500);
  const auto index = filled(process.database(), first, metric(), kBits);
  const auto before = directions_in(*store_);
  ASSERT_THAT(before, SizeIs(1));
  ASSERT_TRUE(index->put(std::span(data.records).subspan(4'500)));
  ASSERT_TRUE(index->fold());
  expect_found(*index, data, "folded");
  EXPECT_EQ(directions_in(*store_), before);
  Process later(store_, 2);
  expect_found(**later.database().open_index(kCoded), data, "opened");
}

TEST_P(AlongDirections, AreMadeAnewWithTheClusters) {
  const Data data = clumps(4'500, kDim, 7, integral());
  Process process(store_, 1);
  const auto index = *process.database().create_index(kCoded, {kDim, metric(), kBits}, false);
  ASSERT_TRUE(index->put(std::span(data.records).first(1'100)));
  ASSERT_TRUE(index->fold());
  const auto before = directions_in(*store_);
  ASSERT_THAT(before, SizeIs(1)) << "enough rows to tell them by";
  ASSERT_TRUE(index->put(std::span(data.records).subspan(1'100)));
  ASSERT_TRUE(index->compact({}));
  const auto after = directions_in(*store_);
  ASSERT_THAT(after, SizeIs(1)) << "the old ones are collected";
  EXPECT_NE(after, before);
  Process later(store_, 2);
  expect_found(**later.database().open_index(kCoded), data, "opened");
}

TEST(AlongDirections, AnIndexThatBecomesEmptyStartsOver) {
  const auto store = store::make_memory_store(test_clock());
  const Data data = clumps(2'000, kDim, 8, false);
  Process process(store, 1);
  const auto index = filled(process.database(), data, Metric::euclidean, kBits);
  std::vector<std::string> keys;
  for (const auto& record : data.records) keys.push_back(record.key);
  ASSERT_TRUE(index->remove(keys));
  ASSERT_TRUE(index->compact({}));
  EXPECT_THAT(index->query(data.queries[0], codes_only())->hits, IsEmpty());
  ASSERT_TRUE(index->put(data.records));
  ASSERT_TRUE(index->compact({}));
  EXPECT_GE(found_by(*index, data, codes_only()).recall, 0.9);
  EXPECT_THAT(index->fsck({})->findings, IsEmpty());
  EXPECT_THAT(directions_in(*store), SizeIs(1));
}

TEST(AlongDirections, RowsWhoseCodesOverflowAreCompared) {
  for (const double scale : {1e16, 1e18, 1e19}) {
    Data data = clumps(2'000, kDim, 9, false);
    for (auto& record : data.records) {
      for (float& value : record.vector) {
        value = static_cast<float>(static_cast<double>(value) * scale);
      }
    }
    Process process(store::make_memory_store(test_clock()), 1);
    const auto index = filled(process.database(), data, Metric::euclidean, kBits);
    for (std::size_t i = 0; i < 2'000; i += 200) {
      const auto answer = index->query(data.records[i].vector, codes_only());
      ASSERT_TRUE(answer) << answer.error().message;
      ASSERT_THAT(answer->hits, SizeIs(10)) << scale;
      EXPECT_EQ(answer->hits[0].key, data.records[i].key) << scale;
    }
  }
}

}  // namespace
}  // namespace varve::engine
