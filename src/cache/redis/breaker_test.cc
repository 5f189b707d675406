#include "cache/redis/breaker.h"

#include <gtest/gtest.h>

#include "base/manual_clock.h"

namespace varve::cache::redis {
namespace {

using Pass = Breaker::Pass;
using std::chrono::milliseconds;

class BreakerTest : public ::testing::Test {
 protected:
  void open() {
    for (int i = 0; i < 3; ++i) breaker_.failed(breaker_.ask());
  }
  // Waits until it lets a probe through; how long that took.
  milliseconds wait_for_probe() {
    milliseconds waited{0};
    while (breaker_.ask() == Pass::no) {
      clock_.advance(milliseconds(1));
      ++waited;
    }
    return waited;
  }

  base::ManualClock clock_;
  Breaker breaker_{{3, milliseconds(100), milliseconds(1'000)}, clock_, 7};
};

TEST_F(BreakerTest, OpensAfterFailuresThatSuccessesDoNotOutweigh) {
  for (int i = 0; i < 100; ++i) {
    breaker_.failed(breaker_.ask());
    for (int j = 0; j < 64; ++j) breaker_.succeeded(breaker_.ask());
  }
  EXPECT_TRUE(breaker_.is_closed());
  open();
  EXPECT_FALSE(breaker_.is_closed());
  EXPECT_EQ(breaker_.ask(), Pass::no);
}

TEST_F(BreakerTest, OpensWhenOneInTwentyFails) {
  int calls = 0;
  while (breaker_.is_closed() && calls < 1'000) {
    if (++calls % 20 == 0) {
      breaker_.failed(breaker_.ask());
    } else {
      breaker_.succeeded(breaker_.ask());
    }
  }
  EXPECT_LE(calls, 80);
}

TEST_F(BreakerTest, LetsOneProbeThroughAtATime) {
  open();
  wait_for_probe();
  EXPECT_EQ(breaker_.ask(), Pass::no);
  breaker_.gave_up(Pass::probe);
  EXPECT_EQ(breaker_.ask(), Pass::probe);
  breaker_.succeeded(Pass::probe);
  EXPECT_TRUE(breaker_.is_closed());
  EXPECT_EQ(breaker_.ask(), Pass::yes);
}

TEST_F(BreakerTest, WaitsLongerAfterEachFailedProbeUpToABound) {
  open();
  milliseconds most{0};
  for (int i = 0; i < 40; ++i) {
    const milliseconds waited = wait_for_probe();
    const milliseconds whole =
        std::min(milliseconds(100LL << std::min(i, 20)), milliseconds(1'000));
    EXPECT_GE(waited + milliseconds(1), whole / 2) << i;
    EXPECT_LE(waited, whole + milliseconds(1)) << i;
    most = std::max(most, waited);
    breaker_.failed(Pass::probe);
  }
  EXPECT_GT(most, milliseconds(800));
  wait_for_probe();
  breaker_.succeeded(Pass::probe);
  open();
  EXPECT_LE(wait_for_probe(), milliseconds(101));
}

TEST_F(BreakerTest, CallsFromBeforeItOpenedDecideNothing) {
  const Pass early = breaker_.ask();
  open();
  breaker_.succeeded(early);
  EXPECT_FALSE(breaker_.is_closed());
  const milliseconds waited = wait_for_probe();
  EXPECT_LE(waited, milliseconds(101));
  breaker_.failed(Pass::yes);
  EXPECT_EQ(breaker_.ask(), Pass::no);
  breaker_.succeeded(Pass::probe);
  EXPECT_TRUE(breaker_.is_closed());
  // What failed while it was open does not count for the time after.
  breaker_.failed(breaker_.ask());
  breaker_.failed(breaker_.ask());
  EXPECT_TRUE(breaker_.is_closed());
}

}  // namespace
}  // namespace varve::cache::redis
