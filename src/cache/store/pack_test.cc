#include "cache/store/pack.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/random.h"
#include "cache/store/pack_sample.h"
#include "cache/store/ranges.h"

namespace varve::cache::packs {
namespace {

std::filesystem::path golden_path() {
  return std::filesystem::path(VARVE_SOURCE_DIR) / "tests/compat/v1/cache_pack.bin";
}

TEST(PackGolden, TheFileOfVersion1IsReadAndWrittenAsEver) {
  std::ifstream in(golden_path(), std::ios::binary);
  ASSERT_TRUE(in.is_open()) << golden_path();
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  PackBuilder sample = sample_pack();
  const auto entries = read_pack(base::as_bytes(bytes), "golden");
  ASSERT_TRUE(entries) << entries.error().message;
  EXPECT_EQ(*entries, sample.entries());
  for (const PackEntry& entry : *entries) {
    const auto record = decode_record(base::as_bytes(bytes).subspan(entry.offset, entry.bytes));
    ASSERT_TRUE(record);
    EXPECT_EQ(record->key, entry.key);
    EXPECT_EQ(record->header.sequence, entry.sequence);
    EXPECT_EQ(record->header.expires_ms, entry.expires_ms);
    EXPECT_EQ(record->header.kind, entry.kind);
  }
  EXPECT_EQ(base::as_text(sample.take()), bytes);
}

TEST(PackGolden, WritesTheFile) {
  if (std::getenv("VARVE_WRITE_GOLDEN") == nullptr) {
    GTEST_SKIP() << "only with VARVE_WRITE_GOLDEN=1, when a kind is added";
  }
  const base::Bytes object = sample_pack().take();
  std::ofstream out(golden_path(), std::ios::binary);
  out.write(base::as_text(object).data(), static_cast<std::streamsize>(object.size()));
  ASSERT_TRUE(out.good());
}

TEST(Pack, EachByteOfTheFooterIsChecked) {
  PackBuilder builder = sample_pack();
  const std::uint64_t data = builder.bytes();
  const base::Bytes object = builder.take();
  for (std::size_t i = 0; i < object.size(); ++i) {
    std::string flipped(base::as_text(object));
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    const auto entries = read_pack(base::as_bytes(flipped), "flipped");
    EXPECT_EQ(entries.has_value(), i < data) << i;
    if (!entries) {
      EXPECT_EQ(entries.error().kind, ErrorKind::corrupt);
      EXPECT_NE(entries.error().message.find("'flipped'"), std::string::npos);
    }
  }
  for (std::size_t size = 0; size < object.size(); ++size) {
    EXPECT_FALSE(read_pack(object.slice(0, size), "cut")) << size;
  }
}

TEST(Pack, NamesSortBySequenceAndAreReadBack) {
  const PackName name{42, 3, std::string(32, 'a')};
  EXPECT_EQ(name.text(), "00000000000000000042-00000003-" + std::string(32, 'a'));
  const auto parsed = parse_pack_name(name.text());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->sequence, 42U);
  EXPECT_EQ(parsed->level, 3U);
  EXPECT_FALSE(parse_pack_name(fmt::format("x{}", name.text())));
  EXPECT_FALSE(parse_pack_name(fmt::format("+{}", name.text().substr(1))));
  EXPECT_FALSE(parse_pack_name(""));
}

TEST(Ranges, JoinNeighboursUpToABound) {
  std::vector<Wanted> wanted{{1, 500, 10, 0}, {0, 0, 100, 1},   {0, 150, 50, 2},
                             {0, 400, 50, 3}, {0, 450, 500, 4}, {0, 450, 500, 5}};
  const auto ranges = join_ranges(wanted, 50, 300);
  ASSERT_EQ(ranges.size(), 4U);
  EXPECT_EQ(ranges[0].bytes, 200U);
  EXPECT_EQ(ranges[0].count, 2U);
  EXPECT_EQ(ranges[1].offset, 400U);
  EXPECT_EQ(ranges[2].bytes, 500U);
  EXPECT_EQ(ranges[2].count, 2U);  // the same key twice is one read
  EXPECT_EQ(ranges[3].pack, 1U);
}

TEST(Ranges, EveryWishIsInsideItsRange) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    base::Random random(seed);
    std::vector<Wanted> wanted;
    for (std::size_t i = 0; i < 500; ++i) {
      wanted.push_back({static_cast<std::uint32_t>(random.below(3)), random.below(100'000),
                        1 + random.below(300), i});
    }
    std::size_t served = 0;
    for (const Range& range : join_ranges(wanted, 100, 2'000)) {
      EXPECT_EQ(range.first, served);
      served += range.count;
      EXPECT_LE(range.bytes, 2'000U);
      for (std::size_t i = range.first; i < served; ++i) {
        EXPECT_EQ(wanted[i].pack, range.pack);
        EXPECT_GE(wanted[i].offset, range.offset);
        EXPECT_LE(wanted[i].offset + wanted[i].bytes, range.offset + range.bytes);
      }
    }
    EXPECT_EQ(served, wanted.size());
  }
}

}  // namespace
}  // namespace varve::cache::packs
