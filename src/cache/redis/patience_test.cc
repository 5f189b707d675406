#include "cache/redis/patience.h"

#include <gtest/gtest.h>

namespace varve::cache::redis {
namespace {

using std::chrono::milliseconds;

constexpr base::TimePoint kStart{std::chrono::hours(1)};

TEST(Patience, EndsWithTheTimeoutWhateverComes) {
  Patience patience = Patience::once(kStart, milliseconds(20));
  EXPECT_EQ(patience.until(), kStart + milliseconds(20));
  patience.note_progress(kStart + milliseconds(15));
  EXPECT_EQ(patience.until(), kStart + milliseconds(20));
  EXPECT_FALSE(patience.was_too_much(kStart + milliseconds(20)));
}

TEST(Patience, LastsAsLongAsRepliesComeUpToABound) {
  Patience patience = Patience::while_it_comes(kStart, milliseconds(20));
  EXPECT_EQ(patience.until(), kStart + milliseconds(20));
  // None came: a failure.
  EXPECT_FALSE(patience.was_too_much(kStart + milliseconds(20)));
  patience.note_progress(kStart + milliseconds(15));
  EXPECT_EQ(patience.until(), kStart + milliseconds(35));
  EXPECT_FALSE(patience.was_too_much(kStart + milliseconds(35)));
  patience.note_progress(kStart + milliseconds(190));
  EXPECT_EQ(patience.until(), kStart + milliseconds(200));
  EXPECT_FALSE(patience.was_too_much(kStart + milliseconds(199)));
  EXPECT_TRUE(patience.was_too_much(kStart + milliseconds(200)));
}

}  // namespace
}  // namespace varve::cache::redis
