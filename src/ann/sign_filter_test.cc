#include "ann/sign_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace varve::ann {
namespace {

constexpr std::uint32_t kDim = 64;
constexpr unsigned kSeed = 20;
constexpr std::uint64_t kIdsPerCluster = 1000;

// Rows about the zero vector, in clusters of which one is empty.
struct Clusters {
  std::vector<std::vector<std::byte>> storage;
  std::vector<const std::byte*> blocks;
  std::vector<std::size_t> rows;
};

std::vector<float> drawn(std::mt19937& random, float size) {
  std::normal_distribution<float> normal(0, size);
  std::vector<float> values(kDim);
  for (float& value : values) value = normal(random);
  return values;
}

Clusters drawn_clusters(std::mt19937& random, std::size_t count) {
  Clusters made;
  const std::vector<float> centroid(kDim);
  const std::size_t block_bytes = kernels::sign_block_bytes(kDim);
  for (std::size_t c = 0; c < count; ++c) {
    const std::size_t rows = c == 4 ? 0 : 1 + random() % 90;
    const std::size_t blocks = (rows + kernels::kSignBlockRows - 1) / kernels::kSignBlockRows;
    auto& bytes = made.storage.emplace_back(blocks * block_bytes + 64);
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
    std::byte* const first = bytes.data() + ((begin + 63) / 64 * 64 - begin);
    for (std::size_t i = 0; i < rows; ++i) {
      const auto row = drawn(random, 1 + static_cast<float>(c));
      kernels::encode_signs(row.data(), centroid.data(), kDim, i % kernels::kSignBlockRows,
                            first + i / kernels::kSignBlockRows * block_bytes);
    }
    made.blocks.push_back(first);
    made.rows.push_back(rows);
  }
  return made;
}

TEST(SignFilter, LeavesThoseWithinTheKthUpperBoundAndTheNearestFirst) {
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  SignFilter filter;
  for (const std::size_t k : {1, 10, 70}) {
    const Clusters clusters = drawn_clusters(random, 9);
    const auto query = drawn(random, 1);
    float to_centroid = 0;
    for (const float value : query) to_centroid += value * value;
    kernels::SignTable table;
    table.set(query.data(), kDim);

    std::vector<SignFilter::Survivor> all;
    std::vector<float> uppers;
    filter.start(k);
    for (std::size_t c = 0; c < clusters.rows.size(); ++c) {
      const std::size_t rows = clusters.rows[c];
      std::vector<float> estimates(rows + kernels::kSignBlockRows), lowers(estimates.size());
      kernels::estimate_signs(table, clusters.blocks[c], rows, to_centroid, estimates.data(),
                              lowers.data());
      for (std::size_t i = 0; i < rows; ++i) {
        all.push_back({lowers[i], estimates[i], c * kIdsPerCluster + i});
        uppers.push_back(estimates[i] + (estimates[i] - lowers[i]));
      }
      filter.add(table, {.blocks = clusters.blocks[c], .rows = rows, .to_centroid = to_centroid},
                 c * kIdsPerCluster);
    }
    ASSERT_GT(uppers.size(), k);
    std::nth_element(uppers.begin(), uppers.begin() + static_cast<std::ptrdiff_t>(k - 1),
                     uppers.end());
    const float limit = uppers[k - 1];

    std::vector<std::uint64_t> wanted{7}, found;
    const auto upper = [](const auto& one) { return one.estimate + (one.estimate - one.lower); };
    for (const auto& one : all) {
      if (upper(one) <= limit) wanted.push_back(one.id);
    }
    EXPECT_EQ(wanted.size(), k + 1);
    for (const auto& one : all) {
      if (upper(one) > limit && one.lower <= limit) wanted.push_back(one.id);
    }
    std::vector<SignFilter::Survivor> survivors{{0, 0, 7}};  // stays
    filter.finish(survivors);
    for (const auto& one : survivors) found.push_back(one.id);
    EXPECT_EQ(found, wanted);
  }
}

TEST(SignFilter, HasNothingOfNoRows) {
  SignFilter filter;
  filter.start(3);
  std::vector<SignFilter::Survivor> survivors;
  filter.finish(survivors);
  EXPECT_TRUE(survivors.empty());
}

}  // namespace
}  // namespace varve::ann
