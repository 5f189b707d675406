#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/random.h"
#include "base/result.h"
#include "base/sha256.h"
#include "base/sync.h"
#include "base/utf8.h"
#include "varve/types.h"

namespace varve::base {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(ErrorKind::invalid, "odd number", "give an even one");
  return number / 2;
}

Result<int> quarter(int number) {
  VARVE_TRY(const int once, half(number));
  VARVE_TRY(const int twice, half(once));
  return twice;
}

TEST(Result, TryReturnsTheErrorEarly) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_EQ(quarter(6).error().message, "odd number");
  EXPECT_EQ(quarter(6).error().with_context("row 3").message, "row 3: odd number");
}

TEST(Lsn, OrdersByEpochThenSeqThenOp) {
  EXPECT_LT((Lsn{1, 9, 9}), (Lsn{2, 0, 0}));
  EXPECT_LT((Lsn{1, 1, 9}), (Lsn{1, 2, 0}));
  EXPECT_EQ(to_string(Lsn{1, 2, 3}), "1.2.3");
}

TEST(Bytes, SliceKeepsTheWholeBlockAlive) {
  Bytes part;
  {
    Bytes whole{std::string("hello world")};
    part = whole.slice(6, 5);
  }
  EXPECT_EQ(as_text(part), "world");
}

TEST(Bytes, BuffersStandOnCacheLines) {
  for (std::size_t size : {0U, 1U, 100U, 4097U}) {
    Buffer buffer(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % kBufferAlign, 0U);
    EXPECT_EQ(buffer.size(), size);
  }
}

TEST(Random, TheSameSeedGivesTheSameStream) {
  Random a(7), b(7), c(8);
  for (int i = 0; i < 100; ++i) {
    const auto draw = a.next();
    EXPECT_EQ(draw, b.next());
    EXPECT_NE(draw, c.next());
  }
}

TEST(Random, BelowStaysBelowAndCoversAll) {
  Random random(1);
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen[random.below(7)];
  for (int count : seen) EXPECT_GT(count, 800);
}

TEST(Sha256, MatchesThePublishedVector) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(sha256_hex(as_bytes("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Pool, ParallelForRunsEveryIndexOnce) {
  auto pool = make_thread_pool(3);
  for (std::size_t count : {0U, 1U, 2U, 1000U}) {
    std::vector<std::atomic<int>> ran(count);
    pool->parallel_for(count, [&](std::size_t i) { ++ran[i]; });
    for (auto& times : ran) EXPECT_EQ(times.load(), 1);
  }
}

TEST(Pool, PostRefusesBeyondItsQueue) {
  std::atomic<int> ran = 0;
  int accepted = 0;
  {
    std::mutex hold;
    hold.lock();
    auto pool = make_thread_pool(1, 2);
    for (int i = 0; i < 10; ++i) {
      accepted += pool->post([&] {
        std::lock_guard lock(hold);
        ++ran;
      });
    }
    hold.unlock();
  }
  EXPECT_GE(accepted, 2);
  EXPECT_LE(accepted, 3);
  EXPECT_EQ(ran.load(), accepted);
}

TEST(Turn, OnlyOneThreadHasIt) {
  Turn turn;
  int inside = 0, most = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        Turn::Held held(turn);
        most = std::max(most, ++inside);
        --inside;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
}

TEST(Deadline, PassesOnlyAfterItsMoment) {
  EXPECT_FALSE(Deadline::never().passed(system_clock()));
  EXPECT_TRUE(Deadline(system_clock().now()).passed(system_clock()));
  EXPECT_FALSE(Deadline::after(system_clock(), std::chrono::hours(1)).passed(system_clock()));
}

TEST(Utf8, TellsWellFormedFromMalformed) {
  for (const char* good : {"", "a", "ä", "漢", "🙂", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\xc3"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
  EXPECT_EQ(count_characters("aä漢🙂"), 4U);
  EXPECT_EQ(bytes_of_characters("aä漢🙂", 2), 3U);
}

}  // namespace
}  // namespace varve::base
