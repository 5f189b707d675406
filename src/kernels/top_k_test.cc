#include "kernels/top_k.h"

#include <algorithm>
#include <limits>

#include "kernels/kernels_test_util.h"

namespace varve::kernels {
namespace {

std::vector<std::pair<float, std::uint64_t>> pairs(const std::vector<Scored>& scored) {
  std::vector<std::pair<float, std::uint64_t>> out;
  for (const Scored& one : scored) out.emplace_back(one.distance, one.id);
  return out;
}

std::vector<Scored> first_sorted(std::vector<Scored> all, std::size_t k) {
  std::sort(all.begin(), all.end());
  if (all.size() > k) all.resize(k);
  return all;
}

TEST(TopK, EqualsASortWithTiesBrokenById) {
  SCOPED_TRACE(kSeed);
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (const std::size_t k : {0U, 1U, 2U, 10U, 100U, 1000U}) {
      for (const std::size_t count : {0U, 1U, 63U, 64U, 65U, 999U, 5000U}) {
        for (const std::uint32_t distinct : {1U, 3U, 50U, 1000000U}) {
          std::vector<float> distances(count);
          for (float& d : distances) d = static_cast<float>(random() % distinct);
          std::vector<std::uint64_t> skip((count + 63) / 64);
          for (auto& word : skip) word = std::uint64_t{random()} << 32 | random();
          TopK with_skips(k), all(k), backwards(k);
          std::vector<Scored> kept, whole;
          for (std::size_t i = 0; i < count; ++i) {
            whole.push_back({distances[i], 500 + i});
            if ((skip[i / 64] >> i % 64 & 1) == 0) kept.push_back(whole.back());
          }
          for (std::size_t i = count; i-- > 0;) backwards.add(distances[i], 500 + i);
          with_skips.add_block(distances.data(), count, 500, skip.data());
          all.add_block(distances.data(), count, 500, nullptr);
          EXPECT_EQ(all.size(), std::min(k, count));
          ASSERT_EQ(pairs(all.take()), pairs(first_sorted(whole, k)));
          ASSERT_EQ(pairs(backwards.take()), pairs(first_sorted(whole, k)));
          ASSERT_EQ(pairs(with_skips.take()), pairs(first_sorted(kept, k)));
        }
      }
    }
  });
}

TEST(TopK, ThresholdIsInfiniteUntilFullAndThenNeverRises) {
  std::mt19937 random(kSeed);
  TopK top(50);
  float last = std::numeric_limits<float>::infinity();
  for (std::uint64_t i = 0; i < 5000; ++i) {
    if (i < 50) {
      EXPECT_EQ(top.threshold(), last);
    }
    top.add(static_cast<float>(random() % 100000), i);
    EXPECT_LE(top.threshold(), last);
    if (i >= 49) last = top.threshold();
  }
  EXPECT_LT(last, 100000);
}

TEST(TopK, NanNeverEnters) {
  on_each_target([] {
    const std::vector<float> distances(200, std::numeric_limits<float>::quiet_NaN());
    TopK top(3);
    top.add_block(distances.data(), distances.size(), 0, nullptr);
    top.add(distances[0], 1);
    EXPECT_EQ(top.size(), 0U);
    top.add(std::numeric_limits<float>::infinity(), 9);
    EXPECT_EQ(top.take().size(), 1U);
  });
}

TEST(TopK, TakeLeavesItEmptyAndUsable) {
  TopK top(2);
  for (std::uint64_t i = 0; i < 9; ++i) top.add(1, i);
  EXPECT_EQ(top.take().size(), 2U);
  EXPECT_EQ(top.size(), 0U);
  EXPECT_EQ(top.threshold(), std::numeric_limits<float>::infinity());
  top.add(5, 1);
  EXPECT_EQ(top.take()[0].distance, 5);
}

}  // namespace
}  // namespace varve::kernels
