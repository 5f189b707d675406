#include "varve/cache/vector_storage.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "store/test_stores.h"

namespace varve::cache {
namespace {

constexpr std::uint32_t kDim = 1536;

std::vector<float> vector_of(std::uint64_t seed, std::size_t dim = kDim) {
  base::Random random(seed);
  std::vector<float> vector(dim);
  for (float& value : vector) value = static_cast<float>(random.next() % 20'001) / 10'000 - 1;
  return vector;
}
std::string key_of(std::size_t number) { return fmt::format("doc/{}", number); }

std::vector<float> values_of(const Result<VectorHandle>& vector) {
  EXPECT_TRUE(vector) << vector.error().message;
  if (!vector) return {};
  return {vector->values().begin(), vector->values().end()};
}

class VectorStorage : public ::testing::Test {
 protected:
  VectorStorageOptions options() const {
    VectorStorageOptions options;
    options.store = directory_.path("store");
    options.folder = directory_.path("disk");
    return options;
  }
  static std::unique_ptr<EfficientVectorStorage> open(const VectorStorageOptions& options) {
    auto storage = EfficientVectorStorage::open(options);
    EXPECT_TRUE(storage) << storage.error().message;
    return storage ? std::move(*storage) : nullptr;
  }

  store::TempDir directory_{store::Medium::memory};
};

TEST_F(VectorStorage, ReturnsWhatWasPutFromEachLayer) {
  const auto storage = open(options());
  ASSERT_EQ(storage->stats().tiers.size(), 3U);
  // Six times what the first tier holds, more than both in memory.
  constexpr std::size_t kVectors = 1000;
  for (std::size_t i = 0; i < kVectors; ++i) ASSERT_TRUE(storage->put(key_of(i), vector_of(i)));
  for (std::size_t i = 0; i < kVectors; ++i) {
    ASSERT_EQ(values_of(storage->get(key_of(i))), vector_of(i)) << i;
  }
  const LayeredStats stats = storage->stats();
  EXPECT_EQ(stats.loads, 0U);
  EXPECT_GT(stats.tiers[2].stats.hits, 0U);
  EXPECT_LE(stats.tiers[0].stats.resident_bytes, std::uint64_t{1} << 20);
  EXPECT_LE(stats.tiers[1].stats.resident_bytes, std::uint64_t{3} << 20);
}

TEST_F(VectorStorage, AHitInMemoryIsBorrowedNotCopied) {
  const auto storage = open(options());
  ASSERT_TRUE(storage->put("a", vector_of(1)));
  const auto first = storage->get("a");
  const auto second = storage->get("a");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->values().data(), second->values().data());
  ASSERT_TRUE(storage->put("a", vector_of(2)));
  EXPECT_EQ(values_of(first), vector_of(1));
  EXPECT_EQ(values_of(storage->get("a")), vector_of(2));
}

TEST_F(VectorStorage, FindsVectorsAgainAfterItWasClosed) {
  {
    const auto storage = open(options());
    ASSERT_TRUE(storage->put("a", vector_of(1)));
  }
  EXPECT_EQ(values_of(open(options())->get("a")), vector_of(1));
  VectorStorageOptions without_disk = options();
  without_disk.folder.clear();
  const auto storage = open(without_disk);
  EXPECT_EQ(values_of(storage->get("a")), vector_of(1));
  EXPECT_EQ(storage->stats().loads, 1U);
}

TEST_F(VectorStorage, ABatchIsWrittenAsOneObjectAndPulled) {
  VectorStorageOptions only_store = options();
  only_store.folder.clear();
  only_store.hot_bytes = 0;
  only_store.warm_bytes = 0;
  const auto storage = open(only_store);
  std::vector<std::string> names = {"none"};
  std::vector<std::vector<float>> vectors = {{}};
  for (std::size_t i = 1; i <= 50; ++i) {
    names.push_back(key_of(i));
    vectors.push_back(vector_of(i, 7));
  }
  const std::vector<std::string_view> keys(names.begin(), names.end());
  const std::vector<std::span<const float>> spans(vectors.begin(), vectors.end());
  ASSERT_TRUE(storage->put_batch(std::span(keys).subspan(1), std::span(spans).subspan(1)));
  std::size_t files = 0;
  for (const auto& each :
       std::filesystem::recursive_directory_iterator(directory_.path("store/vectors"))) {
    files += each.is_regular_file() ? 1 : 0;
  }
  EXPECT_EQ(files, 1U);

  VectorGets gets = storage->get_batch(keys);
  std::map<std::size_t, std::vector<float>> got;
  while (auto one = gets.next()) {
    ASSERT_TRUE(one->vector);
    EXPECT_EQ(static_cast<bool>(*one->vector), one->index != 0);
    EXPECT_TRUE(got.emplace(one->index, values_of(one->vector)).second);
  }
  ASSERT_EQ(got.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(got[i], vectors[i]);
  EXPECT_EQ(gets.counts().loads, keys.size());
  EXPECT_TRUE(storage->compact());
}

TEST_F(VectorStorage, RemovedIsGoneAndPinnedStays) {
  const auto storage = open(options());
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(storage->put(key_of(i), vector_of(i)));
  ASSERT_TRUE(storage->remove(key_of(0)));
  const auto gone = storage->get(key_of(0));
  ASSERT_TRUE(gone);
  EXPECT_FALSE(*gone);
  EXPECT_TRUE(gone->values().empty());
  EXPECT_EQ(storage->pin(key_of(1)), true);
  EXPECT_EQ(storage->pin(key_of(0)), false);
  for (std::size_t i = 2; i < 400; ++i) ASSERT_TRUE(storage->put(key_of(i), vector_of(i)));
  EXPECT_TRUE(storage->cache().tier(0).get(Key(key_of(1))));
  EXPECT_TRUE(storage->unpin(key_of(1)));
  EXPECT_FALSE(storage->unpin(key_of(1)));
}

TEST_F(VectorStorage, WrongOptionsAreNamed) {
  const auto refused = [this](auto change) {
    VectorStorageOptions wrong = options();
    change(wrong);
    const auto opened = EfficientVectorStorage::open(wrong);
    EXPECT_FALSE(opened);
    if (opened) return std::string();
    EXPECT_EQ(opened.error().kind, ErrorKind::invalid);
    return opened.error().message;
  };
  using Options = VectorStorageOptions;
  using ::testing::HasSubstr;
  EXPECT_THAT(refused([](Options& o) { o.store.clear(); }), HasSubstr("store"));
  EXPECT_THAT(refused([](Options& o) { o.store = "ftp://x"; }), HasSubstr("store"));
  EXPECT_THAT(refused([](Options& o) { o.prefix = "a b"; }), HasSubstr("prefix"));
  EXPECT_THAT(refused([](Options& o) { o.policy = "best"; }), HasSubstr("policy"));
  EXPECT_THAT(refused([](Options& o) { o.promote_after = 0; }), HasSubstr("promote_after"));
  EXPECT_THAT(refused([](Options& o) { o.zstd_level = 23; }), HasSubstr("zstd_level"));
  EXPECT_THAT(refused([](Options& o) { o.timeout = {}; }), HasSubstr("timeout"));
  VectorStorageOptions no_folder = options();
  no_folder.folder = "/proc/none";
  const auto opened = EfficientVectorStorage::open(no_folder);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("folder"));
}

TEST_F(VectorStorage, WrongVectorsAreNamedAndNotKept) {
  VectorStorageOptions three = options();
  three.dim = 3;
  const auto storage = open(three);
  const auto message = [](const Status& status) {
    return status ? std::string() : status.error().message;
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message(storage->put("a", vector_of(1, 2))), HasSubstr("a: vector has 2"));
  EXPECT_THAT(message(storage->put("a", {})), HasSubstr("vector is empty"));
  EXPECT_THAT(message(storage->put("", vector_of(1, 3))), HasSubstr("key of 0 bytes"));
  const auto got = storage->get("a");
  ASSERT_TRUE(got);
  EXPECT_FALSE(*got);
  ASSERT_TRUE(storage->cache().put("b", std::as_bytes(std::span("12345", 5)), {}));
  const auto no_vector = storage->get("b");
  ASSERT_FALSE(no_vector);
  EXPECT_EQ(no_vector.error().kind, ErrorKind::corrupt);
}

TEST(VectorHandleTest, BytesOffTheBoundaryOfFloatsAreCopied) {
  const std::vector<float> vector = vector_of(3, 8);
  std::vector<std::byte> bytes(1 + 8 * sizeof(float));
  std::memcpy(bytes.data() + 1, vector.data(), 8 * sizeof(float));
  const auto owner = std::make_shared<int>(1);
  const auto handle = VectorHandle::of(Handle::borrow(owner, std::span(bytes).subspan(1)));
  EXPECT_EQ(values_of(handle), vector);
}

}  // namespace
}  // namespace varve::cache
