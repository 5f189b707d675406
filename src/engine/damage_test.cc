// What is damaged or lost is named, and stands in nobody's way.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/core.h"
#include "engine/test_env.h"
#include "store/memory_store.h"
#include "store/test_stores.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const IndexName kName{"test", "index"};
const IndexConfig kConfig{.dim = 2, .metric = Metric::euclidean};

// Spoils one byte of every object whose key contains `part`. Returns how many.
int spoil(store::MemoryStore& memory, const std::string& part) {
  int spoilt = 0;
  for (const auto& [key, object] : memory.objects()) {
    if (key.find(part) == std::string::npos) continue;
    std::string bytes(base::as_text(object.bytes));
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x40);
    EXPECT_TRUE(memory.replace(key, base::as_bytes(bytes), object.etag, store::kNever));
    ++spoilt;
  }
  return spoilt;
}

// Removes every object whose key contains `part`. Returns the key of one.
std::string lose(store::MemoryStore& memory, const std::string& part) {
  std::vector<std::string> keys;
  for (const auto& [key, object] : memory.objects()) {
    if (key.find(part) != std::string::npos) keys.push_back(key);
  }
  EXPECT_TRUE(memory.remove(keys, store::kNever));
  return keys.empty() ? "" : keys.front();
}

Status put(Index& index, const std::string& key) {
  const std::vector<VectorRecord> records{{key, {1, 2}, {}}};
  VARVE_CHECK(index.put(records));
  return {};
}

TEST(Damage, AnIndexWithADamagedLogCanBeDroppedAndItsNameUsedAgain) {
  auto memory = store::make_memory_store(test_clock());
  {
    Process process(memory, 1);
    auto index = *process.database().create_index(kName, kConfig, false);
    for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(put(*index, key));
  }
  Process taker(memory, 2);
  ASSERT_TRUE(put(**taker.database().open_index(kName), "d"));
  // Three batches and the seal of the first epoch, and what the second one wrote.
  ASSERT_GE(spoil(*memory, "/wal/"), 5);
  Process process(memory, 3);
  const auto dropped = process.database().drop_index(kName);
  ASSERT_TRUE(dropped) << dropped.error().message;
  EXPECT_THAT(*process.database().list_indexes(), IsEmpty());
  auto again = process.database().create_index(kName, kConfig, false);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(put(**again, "a"));
}

// Each of the objects in turn without which nothing of an index can be read.
TEST(Damage, AnIndexWithALostObjectIsCorruptAndTheObjectIsNamed) {
  for (const char* part : {"/m/", "/HEAD", "/d/"}) {
    auto memory = store::make_memory_store(test_clock());
    Process process(memory, 4);
    auto index = *process.database().create_index(kName, kConfig, false);
    ASSERT_TRUE(put(*index, "a"));
    ASSERT_TRUE(index->fold());
    const std::string lost = lose(*memory, part);
    Process other(memory, 5);
    auto opened = other.database().open_index(kName);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::corrupt) << opened.error().message;
    EXPECT_THAT(opened.error().message, HasSubstr(part));
    EXPECT_EQ(other.database().list_indexes()->size(), 1U);
    const auto report = other.database().fsck_index(kName, {});
    ASSERT_TRUE(report) << report.error().message;
    ASSERT_THAT(report->findings, Not(IsEmpty())) << part;
    const FsckFinding& first = report->findings[0];
    EXPECT_THAT(first.object + first.message, HasSubstr(part));
    EXPECT_TRUE(other.database().drop_index(kName)) << part;
  }
}

TEST(Damage, AQueryNamesTheObjectThatIsLost) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 6), other(memory, 7);
  auto index = *process.database().create_index(kName, kConfig, false);
  ASSERT_TRUE(put(*index, "a"));
  ASSERT_TRUE(index->fold());
  auto theirs = *other.database().open_index(kName);
  const std::string lost = lose(*memory, "/d/");
  const std::vector<float> vector{1, 2};
  const auto answer = theirs->query(vector, exact_query(1));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::corrupt) << answer.error().message;
  EXPECT_THAT(answer.error().message, HasSubstr("/d/"));
}

TEST(Damage, ATakeOverNamesTheManifestThatIsLost) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 8), writer(memory, 9);
  auto index = *process.database().create_index(kName, kConfig, false);
  const auto uuid = *format::Uuid::from_hex(index->info()->uuid);
  lose(*memory, "/m/");
  Core core(writer.env(), uuid);
  const auto owned = core.writer.ensure_owner();
  ASSERT_FALSE(owned);
  EXPECT_EQ(owned.error().kind, ErrorKind::corrupt) << owned.error().message;
  EXPECT_THAT(owned.error().message, HasSubstr("/m/"));
}

TEST(Fsck, FindsNothingInAHealthyIndexThatIsWritten) {
  auto memory = store::make_memory_store(test_clock());
  auto hooked = std::make_shared<HookStore>(memory);
  Process process(memory, 10), checker(hooked, 11), third(memory, 12);
  auto index = *process.database().create_index(kName, kConfig, false);
  auto checked = *checker.database().open_index(kName);
  auto other = *third.database().open_index(kName);
  ASSERT_TRUE(put(*index, "a"));
  int written = 0;
  // Between the look at the log and the listing: two writers that take the index from each other.
  hooked->before = [&](std::string_view method, std::string_view) {
    if (method != "list") return;
    ASSERT_TRUE(put(*index, fmt::format("b{}", ++written)));
    ASSERT_TRUE(put(*index, fmt::format("b{}", ++written)));
    ASSERT_TRUE(put(*other, fmt::format("b{}", ++written)));
  };
  const auto report = checked->fsck({});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GE(written, 3);
  EXPECT_THAT(report->findings, IsEmpty());
}

TEST(Fsck, FindsNothingWhileFoldsAndCollectionsMoveHead) {
  auto memory = store::make_memory_store(test_clock());
  auto hooked = std::make_shared<HookStore>(memory);
  Process process(memory, 13), checker(hooked, 14);
  auto index = *process.database().create_index(kName, kConfig, false);
  auto checked = *checker.database().open_index(kName);
  ASSERT_TRUE(put(*index, "a"));
  int written = 0;
  hooked->before = [&](std::string_view, std::string_view key) {
    if (key.find("/d/") == std::string_view::npos && key.find("/wal/") == std::string_view::npos) {
      return;
    }
    ASSERT_TRUE(put(*index, fmt::format("b{}", ++written)));
    ASSERT_TRUE(index->compact({}));
  };
  ASSERT_TRUE(index->compact({}));
  const auto report = checked->fsck({});
  ASSERT_GT(written, 0);
  if (report) {
    EXPECT_THAT(report->findings, IsEmpty());
  } else {
    EXPECT_EQ(report.error().kind, ErrorKind::unavailable) << report.error().message;
  }
}

TEST(Fsck, FindsAHoleInTheLog) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 15);
  auto index = *process.database().create_index(kName, kConfig, false);
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(put(*index, key));
  lose(*memory, "/wal/00000000000000000001/00000000000000000001");
  const auto report = process.database().fsck_index(kName, {});
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->findings.size(), 1U);
  EXPECT_EQ(report->findings[0].invariant, "I2");
}

}  // namespace
}  // namespace varve::engine
