#include "cache/replay.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/random.h"

namespace varve::cache {
namespace {

constexpr std::uint64_t kAccesses = 200'000;

// Rank r with a weight of 1 / r.
std::uint64_t zipf(base::Random& random, double keys) {
  return static_cast<std::uint64_t>(std::pow(keys, random.unit()));
}

Trace trace_of(const std::function<std::uint64_t(std::uint64_t)>& key) {
  std::vector<Access> accesses(kAccesses);
  for (std::uint64_t i = 0; i < kAccesses; ++i) accesses[i].key = key(i);
  return Trace(accesses);
}

// One access in ten is to a new key, the others to one of the `depth` keys used last, the later the
// likelier.
Trace recency_trace(base::Random& random, std::size_t depth) {
  std::vector<std::uint64_t> last;
  return trace_of([&](std::uint64_t i) {
    std::uint64_t key = i + 1'000'000;
    if (last.size() > 10 && random.below(10) > 0) {
      const std::uint64_t back = zipf(random, static_cast<double>(last.size()));
      const auto found = last.end() - static_cast<std::ptrdiff_t>(back);
      key = *found;
      last.erase(found);
    } else if (last.size() == depth) {
      last.erase(last.begin());
    }
    last.push_back(key);
    return key;
  });
}

struct Shape {
  const char* name;
  Trace trace;
};

std::vector<Shape> shapes() {
  base::Random random(11);
  std::vector<Shape> all;
  all.push_back({"zipf", trace_of([&](auto) { return zipf(random, 50'000); })});
  all.push_back({"recency", recency_trace(random, 3'000)});
  all.push_back(
      {"moving window", trace_of([&](std::uint64_t i) { return i / 8 + random.below(400); })});
  all.push_back({"scan", trace_of([](std::uint64_t i) { return i; })});
  all.push_back({"scan among zipf", trace_of([&](std::uint64_t i) {
                   return i % 2 == 0 ? i + 1'000'000 : zipf(random, 20'000);
                 })});
  all.push_back({"loop", trace_of([](std::uint64_t i) { return i % 5'000; })});
  all.push_back({"loop among zipf", trace_of([&](std::uint64_t i) {
                   return i % 2 == 0 ? i % 8'000 + 1'000'000 : zipf(random, 20'000);
                 })});
  all.push_back({"zipf over other keys after a while", trace_of([&](std::uint64_t i) {
                   return i / 100'000 * 1'000'000 + zipf(random, 20'000);
                 })});
  return all;
}

TEST(Replay, TheDefaultIsNowhereAPointBehindLru) {
  for (const Shape& shape : shapes()) {
    for (const double share : {0.001, 0.01, 0.1}) {
      const auto all = static_cast<double>(shape.trace.total_size());
      const auto capacity = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(share * all));
      const auto lru = count_misses(shape.trace, capacity, **make_policy("lru", 1));
      const auto found = count_misses(shape.trace, capacity, **make_policy(kDefaultPolicy, 1));
      EXPECT_LE(found, lru + kAccesses / 100) << shape.name << " at " << share;
    }
  }
}

// LRU is perfect if the cache holds just all that can be asked for again: there every queue of
// newcomers that does not move what is hit loses something.
TEST(Replay, TheDefaultIsCloseBehindLruWhereLruIsPerfect) {
  base::Random random(11);
  const Trace trace = recency_trace(random, 2'000);
  const auto lru = count_misses(trace, 2'000, **make_policy("lru", 1));
  const auto fifo = count_misses(trace, 2'000, **make_policy("fifo", 1));
  const auto found = count_misses(trace, 2'000, **make_policy(kDefaultPolicy, 1));
  EXPECT_LE(found, lru + kAccesses * 15 / 1'000);
  EXPECT_LE(found, fifo);
}

// LRU and FIFO hit nothing of a loop that is too large.
TEST(Replay, TheDefaultKeepsAPartOfALoop) {
  const Trace loop = trace_of([](std::uint64_t i) { return i % 5'000; });
  const auto found = count_misses(loop, 1'250, **make_policy(kDefaultPolicy, 1));
  EXPECT_LE(found, kAccesses * 8 / 10);
}

TEST(Replay, MemoryOfTheDefaultIsInProportion) {
  base::Random random(12);
  const Trace trace = trace_of([&](auto) { return random.below(100'000); });
  for (const std::uint64_t capacity : {100U, 1'000U, 16'000U}) {
    const auto policy = std::move(*make_policy(kDefaultPolicy, 1));
    count_misses(trace, capacity, *policy);
    // Of which vectors that double may hold 24 for nothing.
    EXPECT_LE(policy->resident_bytes(), capacity * (40 + 24) + 1'024) << capacity;
  }
}

}  // namespace
}  // namespace varve::cache
