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

TEST(OpenStore, APlanInTheUriLosesAnswers) {
  TempDir dir(Medium::memory);
  const auto store = open_store("fault+file://" + dir.path("x") + "?seed=7&lose_answer=1");
  ASSERT_TRUE(store);
  EXPECT_EQ(kind_of(create(**store, "a", "1")), "unavailable");
  EXPECT_EQ(text_of(**store, "a"), "1");
  EXPECT_EQ(text_of(**open_store(dir.path("x")), "a"), "1");
}

TEST(OpenStore, RefusesAPlanThatItCannotFollow) {
  for (const char* plan : {"lose_answer", "lose_answer=", "lose_answer=2", "lose_answer=-1",
                           "lose_answer=nan", "seed=x", "seed=-1", "loose_answer=0.1", "&"}) {
    EXPECT_EQ(kind_of(open_store(std::string("fault+memory://?") + plan)), "invalid") << plan;
  }
  EXPECT_TRUE(open_store("fault+memory://?seed=1&delay=0"));
  EXPECT_TRUE(open_store("fault+memory://"));
  EXPECT_EQ(kind_of(open_store("fault+gopher://x?seed=1")), "invalid");
}

}  // namespace
}  // namespace varve::store
