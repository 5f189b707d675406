#include "store/open.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/test_stores.h"

namespace varve::store {
namespace {

TEST(OpenStore, APathAndItsFileUriAreOneStore) {
  TempDir dir(Medium::memory);
  ASSERT_TRUE(create(**open_store(dir.path("with space")), "a", "1"));
  EXPECT_EQ(text_of(**open_store("file://" + dir.path("with%20space")), "a"), "1");
  EXPECT_EQ(text_of(**open_store("file://localhost" + dir.path("with%20space")), "a"), "1");
}

TEST(OpenStore, MemoryStoresAreSharedByNameOnly) {
  ASSERT_TRUE(create(**open_store("memory://open-test"), "a", "1"));
  EXPECT_EQ(text_of(**open_store("memory://open-test"), "a"), "1");
  EXPECT_EQ(text_of(**open_store("memory://open-test-2"), "a"), "<none>");
  EXPECT_EQ(text_of(**open_store("memory://"), "a"), "<none>");
}

TEST(OpenStore, RefusesWhatItDoesNotKnowAndNamesWhatItDoes) {
  const auto unknown = open_store("gopher://x");
  EXPECT_EQ(kind_of(unknown), "invalid");
  EXPECT_THAT(unknown.error().hint, ::testing::HasSubstr("memory://"));
  for (const char* uri : {"", "file://", "file://relative/x", "file:///a%2", "file:///a%zz",
                          "file:///a%00b", "://x", "File:///x"}) {
    EXPECT_EQ(kind_of(open_store(uri)), "invalid") << uri;
  }
}

}  // namespace
}  // namespace varve::store
