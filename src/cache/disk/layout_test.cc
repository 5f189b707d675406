#include "cache/disk/layout.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cache/disk/dead_mark.h"
#include "cache/disk/disk_test.h"

namespace varve::cache {
namespace {

using namespace disk_test;

std::string record_of(std::string_view key, std::string_view value, std::uint64_t sequence) {
  RecordHeader header;
  header.method = 2;
  header.key_bytes = static_cast<std::uint16_t>(key.size());
  header.stored_bytes = static_cast<std::uint32_t>(value.size());
  header.raw_bytes = 77;
  header.sequence = sequence;
  header.expires_ms = 1'900'000'000'000;
  std::string bytes(header.record_bytes(), '\0');
  encode_record(header, key, base::as_bytes(value),
                std::as_writable_bytes(std::span(bytes.data(), bytes.size())));
  return bytes;
}

// Three keys, one replaced, one removed: all that a segment can hold.
std::string sample_segment() {
  Bed bed;
  Tier& tier = bed.open();
  Handle packed = value_of("packed value");
  packed.set_encoding(2, 77);
  tier.put(Key("docs/v/1"), packed, {1'900'000'000'000});
  put(tier, "docs/v/2", "first");
  put(tier, "docs/v/3", "third");
  put(tier, "docs/v/2", "second");
  tier.remove(Key("docs/v/3"));
  bed.tier.reset();
  return bed.files.contents().at("f/00000001.seg");
}

TEST(SegmentLayout, NamesAndNumbersStandForEachOther) {
  EXPECT_EQ(segment_name(42), "0000002a.seg");
  EXPECT_EQ(segment_number("0000002a.seg"), 42U);
  EXPECT_EQ(segment_number("7fffffff.seg"), kSegmentNumberMax);
  for (const char* name : {"", "LOCK", "0000002A.seg", "2a.seg", "00000000.seg", "80000000.seg",
                           "0000002a.sega", "0x00002a.seg", "+000002a.seg", "-0000002.seg"}) {
    EXPECT_EQ(segment_number(name), std::nullopt) << name;
  }
}

TEST(SegmentLayout, EachFlippedBitOfAHeaderIsSeen) {
  const auto header = encode_segment_header(7);
  EXPECT_EQ(check_segment_header(header, 7), HeaderVerdict::ours);
  EXPECT_EQ(check_segment_header(header, 8), HeaderVerdict::damaged);
  EXPECT_EQ(check_segment_header(std::span(header).first(63), 7), HeaderVerdict::damaged);
  for (std::size_t bit = 0; bit < header.size() * 8; ++bit) {
    auto flipped = header;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_EQ(check_segment_header(flipped, 7), HeaderVerdict::damaged) << bit;
  }
}

std::optional<Footer> footer_of(std::string_view file) {
  const base::ByteSpan bytes = base::as_bytes(file);
  if (bytes.size() < kTrailerBytes) return std::nullopt;
  const std::size_t end = bytes.size() - kTrailerBytes;
  const auto trailer = decode_trailer(bytes.subspan(end), 1, bytes.size());
  if (!trailer) return std::nullopt;
  return decode_footer(*trailer, bytes.subspan(trailer->data_bytes, end - trailer->data_bytes));
}

TEST(SegmentLayout, AFooterListsEachRecordOfItsSegment) {
  const auto footer = footer_of(sample_segment());
  ASSERT_TRUE(footer);
  ASSERT_EQ(footer->entries.size(), 5U);
  EXPECT_EQ(footer->entries[0].hash, hash_of_key("docs/v/1"));
  EXPECT_EQ(footer->entries[0].offset, kSegmentHeaderBytes);
  EXPECT_EQ(footer->entries[0].expires_ms, 1'900'000'000'000);
  EXPECT_EQ(footer->entries[0].stored_bytes, 12U);
  EXPECT_EQ(footer->entries[0].raw_bytes, 77U);
  EXPECT_EQ(footer->entries[0].method, 2);
  EXPECT_FALSE(footer->entries[0].dead);
  EXPECT_TRUE(footer->entries[1].dead);
  EXPECT_TRUE(footer->entries[2].dead);
  EXPECT_FALSE(footer->entries[3].dead);
  EXPECT_EQ(footer->entries[4].kind, RecordKind::removal);
  for (const SegmentEntry& entry : footer->entries) {
    EXPECT_TRUE(footer->filter.may_contain(entry.hash));
  }
}

TEST(SegmentLayout, EachFlippedBitOfAFooterIsSeenButForTheDeadOnes) {
  const std::string file = sample_segment();
  const auto trailer = decode_trailer(base::as_bytes(file).last(kTrailerBytes), 1, file.size());
  ASSERT_TRUE(trailer);
  for (std::size_t bit = trailer->data_bytes * 8; bit < file.size() * 8; ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const std::uint64_t at = bit / 8;
    const bool is_dead_bit =
        at >= trailer->dead_offset() && at < trailer->dead_offset() + trailer->dead_bytes();
    EXPECT_EQ(footer_of(flipped).has_value(), is_dead_bit) << at;
  }
}

TEST(SegmentLayout, AnEmptySegmentHasAFooterToo) {
  const base::Bytes footer = encode_footer(1, kSegmentHeaderBytes, {});
  const auto trailer =
      decode_trailer(footer.span().last(kTrailerBytes), 1, kSegmentHeaderBytes + footer.size());
  ASSERT_TRUE(trailer);
  const auto decoded = decode_footer(*trailer, footer.span().first(footer.size() - kTrailerBytes));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->entries.empty());
  EXPECT_FALSE(decoded->filter.may_contain(1));
}

TEST(BlockFilter, PassesItsKeysAndFewOthers) {
  base::Random random(1);
  std::vector<std::uint64_t> hashes(20'000);
  for (std::uint64_t& hash : hashes) hash = random.next();
  BlockFilter filter(hashes.size());
  for (const std::uint64_t hash : hashes) filter.add(hash);
  for (const std::uint64_t hash : hashes) ASSERT_TRUE(filter.may_contain(hash));
  int passed = 0;
  for (int i = 0; i < 100'000; ++i) passed += filter.may_contain(random.next());
  EXPECT_LT(passed, 1000);
}

TEST(DeadMark, MakesARecordVoidAndKeepsItsLength) {
  std::string bytes = record_of("key", "value", 9);
  EXPECT_FALSE(peek_dead(base::as_bytes(bytes)));
  const auto mark = dead_mark(base::as_bytes(bytes));
  std::memcpy(bytes.data(), mark.data(), mark.size());
  EXPECT_FALSE(decode_record(base::as_bytes(bytes)));
  const auto header = peek_dead(base::as_bytes(bytes));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->record_bytes(), bytes.size());
  EXPECT_EQ(header->sequence, 9U);
  for (std::size_t bit = 0; bit < kRecordHeaderBytes * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(peek_dead(base::as_bytes(flipped))) << bit;
    EXPECT_FALSE(decode_record(base::as_bytes(flipped))) << bit;
  }
}

TEST(CacheRecord, EachFlippedBitAndEachCutIsSeen) {
  const std::string bytes = record_of("key", "value", 9);
  const std::size_t covered = kRecordHeaderBytes + 3 + 5;
  for (std::size_t bit = 0; bit < covered * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(decode_record(base::as_bytes(flipped))) << bit;
  }
  for (std::size_t size = 0; size < covered; ++size) {
    EXPECT_FALSE(decode_record(base::as_bytes(bytes).first(size))) << size;
  }
}

// Every format version that was ever written is read for ever: the files are never changed.
std::filesystem::path golden_path(const std::string& file) {
  return std::filesystem::path(VARVE_SOURCE_DIR) / "tests/compat/v1" / file;
}

std::string read_golden(const std::string& file) {
  std::ifstream in(golden_path(file), std::ios::binary);
  EXPECT_TRUE(in.is_open()) << golden_path(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(CacheGolden, TheRecordOfVersion1IsReadFieldByField) {
  const std::string bytes = read_golden("cache_record.bin");
  EXPECT_EQ(bytes, record_of("docs/v/1", "packed value", 4711));
  const auto record = decode_record(base::as_bytes(bytes));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->key, "docs/v/1");
  EXPECT_EQ(base::as_text(record->payload), "packed value");
  EXPECT_EQ(record->header.kind, RecordKind::value);
  EXPECT_EQ(record->header.method, 2);
  EXPECT_EQ(record->header.raw_bytes, 77U);
  EXPECT_EQ(record->header.sequence, 4711U);
  EXPECT_EQ(record->header.expires_ms, 1'900'000'000'000);
}

TEST(CacheGolden, TheSegmentOfVersion1IsReadAndWrittenAgainTheSame) {
  const std::string bytes = read_golden("cache_segment.bin");
  EXPECT_EQ(bytes, sample_segment());
  // With its footer, and without.
  for (const std::size_t size : {bytes.size(), bytes.size() - 1}) {
    Bed bed;
    bed.options.immutable = true;  // no folder state says that it was closed
    bed.files.set_contents({{"f/00000001.seg", bytes.substr(0, size)}});
    Tier& tier = bed.open();
    EXPECT_EQ(get(tier, "docs/v/1"), "packed value");
    EXPECT_EQ(get(tier, "docs/v/2"), "second");
    EXPECT_EQ(get(tier, "docs/v/3"), "(miss)");
    EXPECT_EQ(tier.stats().items, 2U);
  }
}

TEST(CacheGolden, WritesTheFiles) {
  if (std::getenv("VARVE_WRITE_GOLDEN") == nullptr) {
    GTEST_SKIP() << "only with VARVE_WRITE_GOLDEN=1, when a kind is added";
  }
  std::ofstream(golden_path("cache_record.bin"), std::ios::binary)
      << record_of("docs/v/1", "packed value", 4711);
  std::ofstream(golden_path("cache_segment.bin"), std::ios::binary) << sample_segment();
}

}  // namespace
}  // namespace varve::cache
