// What is damaged or lost is named, and stands in nobody's way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/names.h"
#include "engine/test_env.h"
#include "store/test_stores.h"

namespace varve::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

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

}  // namespace
}  // namespace varve::engine
