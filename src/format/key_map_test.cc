#include <gtest/gtest.h>

#include <algorithm>

#include "format/samples.h"

namespace varve::format {
namespace {

constexpr std::uint64_t kSeed = 20261120;
constexpr std::string_view kName = "v1/i/ab/an-index/d/1/a-key-map";

KeyMapSegment segment_of(const std::vector<KeyLocation>& entries) {
  const base::Bytes object = encode_key_map(entries, Uuid{}, kName, base::Nonce{1, 2});
  auto segment = KeyMapSegment::decode(object, Uuid{}, kName);
  EXPECT_TRUE(segment.has_value()) << segment.error().message;
  return std::move(*segment);
}

TEST(KeyMap, HoldsWhatASortedListHolds) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  // Few hashes: the same one in many entries, across the borders of blocks.
  for (const std::uint64_t hashes : {1ULL, 3ULL, 100ULL, 1ULL << 20, 1ULL << 48}) {
    for (const std::size_t count : {0, 1, 2, 255, 256, 257, 512, 3000}) {
      std::vector<KeyLocation> expected = sampler.locations(count, hashes);
      const KeyMapSegment segment = segment_of(expected);
      std::sort(expected.begin(), expected.end());
      expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
      ASSERT_EQ(segment.entries(), expected) << hashes << " hashes, " << count << " entries";
      ASSERT_EQ(segment.size(), expected.size());

      std::vector<std::uint64_t> asked = {0, 1, (1ULL << 48) - 1, sampler.below(hashes)};
      for (std::size_t i = 0; i < expected.size(); i += 50) asked.push_back(expected[i].hash);
      for (const std::uint64_t hash : asked) {
        std::vector<KeyLocation> found = {KeyLocation{9, 9, 9}};  // appended to, not replaced
        segment.find(hash, found);
        std::vector<KeyLocation> right = {KeyLocation{9, 9, 9}};
        for (const KeyLocation& at : expected) {
          if (at.hash == hash) right.push_back(at);
        }
        ASSERT_EQ(found, right) << hash;
      }
    }
  }
}

TEST(KeyMap, TakesAtMostEightBytesAKey) {
  for (const std::size_t keys : {60'000, 1'000'000}) {
    std::vector<KeyLocation> entries;
    for (std::size_t i = 0; i < keys; ++i) {
      const std::size_t part = (i * 2654435761U) % (keys / 250);
      entries.push_back({key_hash(std::to_string(i)), part, static_cast<std::uint32_t>(i % 250)});
    }
    const base::Bytes object = encode_key_map(entries, Uuid{}, kName, base::Nonce{1, 2});
    const double bytes = static_cast<double>(object.size()) / static_cast<double>(keys);
    RecordProperty("bytes_per_key", std::to_string(bytes));
    EXPECT_LE(bytes, 8.0) << keys << " keys";
    EXPECT_TRUE(KeyMapSegment::decode(object, Uuid{}, kName).has_value());
  }
}

TEST(KeyMap, HashIsTheUpperPartOfXxh3) { EXPECT_EQ(key_hash("varve"), 0xC64E3D9268DDU); }

}  // namespace
}  // namespace varve::format
