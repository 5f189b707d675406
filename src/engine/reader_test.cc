// What readers of a process may answer while it writes.
#include "engine/reader.h"

#include <gtest/gtest.h>

#include "engine/test_env.h"

namespace varve::engine {
namespace {

const IndexName kName{"test", "index"};

// Calls `landed` when a log object stands in the store and its writer does not know yet.
class LandingStore final : public store::ObjectStore {
 public:
  explicit LandingStore(std::shared_ptr<store::ObjectStore> inner) : inner_(std::move(inner)) {}
  std::function<void()> landed;

  Result<std::optional<store::Object>> get(std::string_view key, base::Deadline at) override {
    return inner_->get(key, at);
  }
  std::unique_ptr<store::ReadBatch> read(std::span<const store::ReadRequest> requests,
                                         base::Deadline at) override {
    return inner_->read(requests, at);
  }
  Result<store::Etag> create(std::string_view key, base::ByteSpan bytes,
                             base::Deadline at) override {
    auto made = inner_->create(key, bytes, at);
    if (landed != nullptr && key.find("/wal/") != std::string_view::npos) {
      std::exchange(landed, nullptr)();
    }
    return made;
  }
  Result<store::Etag> replace(std::string_view key, base::ByteSpan bytes,
                              const store::Etag& expected, base::Deadline at) override {
    return inner_->replace(key, bytes, expected, at);
  }
  Result<store::ListPage> list(std::string_view prefix, std::string_view after, std::uint32_t limit,
                               base::Deadline at) override {
    return inner_->list(prefix, after, limit, at);
  }
  Status remove(std::span<const std::string> keys, base::Deadline at) override {
    return inner_->remove(keys, at);
  }

 private:
  std::shared_ptr<store::ObjectStore> inner_;
};

std::string metadata_of(Index& index) {
  const auto records = index.get(std::vector<std::string>{"key"});
  if (!records) return records.error().message;
  return (*records)[0] ? (*records)[0]->metadata : "none";
}

// Otherwise the key would go back in time for who asks both, one after the other.
TEST(Reader, ShowsWhatAnotherProcessHasShownOfAWriteUnderWay) {
  const auto inner = std::make_shared<store::MemoryStore>(test_clock());
  const auto landing = std::make_shared<LandingStore>(inner);
  Process writer(landing, 1), other(inner, 2);
  const auto index = *writer.database().create_index(kName, {.dim = 2}, false);
  const auto theirs = *other.database().open_index(kName);
  const auto put = [&](const char* metadata) {
    return index->put(std::vector<VectorRecord>{{"key", {1, 2}, metadata}});
  };
  ASSERT_TRUE(put(R"({"v":1})"));
  std::string seen_there, seen_here;
  landing->landed = [&] {
    seen_there = metadata_of(*theirs);
    seen_here = metadata_of(*index);
  };
  ASSERT_TRUE(put(R"({"v":2})"));
  EXPECT_EQ(seen_there, R"({"v":2})");
  EXPECT_EQ(seen_here, R"({"v":2})");
  EXPECT_EQ(metadata_of(*index), R"({"v":2})");
  ASSERT_TRUE(put(R"({"v":3})"));
  EXPECT_EQ(metadata_of(*index), R"({"v":3})");
}

}  // namespace
}  // namespace varve::engine
