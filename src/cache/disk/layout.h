// Segments as bytes: a header, records, and behind a full one a footer with an index and a filter.
// docs/formats/cache-segment.md has the layout.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "cache/disk/block_filter.h"
#include "cache/record.h"

namespace varve::cache {

inline constexpr std::uint64_t kSegmentBytesMin = 4096;
inline constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{256} << 20;
inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kTrailerBytes = 64;
inline constexpr std::size_t kEntryBytes = 32;
// The largest number of a segment: half of what a name can say.
inline constexpr std::uint32_t kSegmentNumberMax = 0x7FFFFFFF;

// "0000002a.seg"
std::string segment_name(std::uint32_t number);
// nullopt: not the name of a segment.
std::optional<std::uint32_t> segment_number(std::string_view name);

std::array<std::byte, kSegmentHeaderBytes> encode_segment_header(std::uint32_t number);
enum class HeaderVerdict { ours, foreign_version, damaged };
// `damaged` is also what carries another number: a file that somebody renamed.
HeaderVerdict check_segment_header(base::ByteSpan bytes, std::uint32_t number);

// The sequence of a record is its place, so that a record that was moved there by others is refused
// and none needs to be known to write the next one.
constexpr std::uint64_t sequence_of(std::uint32_t number, std::uint64_t offset) {
  return std::uint64_t{number} << 32 | offset / kRecordAlign;
}

// One record of a segment as the footer lists it, in the order of offsets.
struct SegmentEntry {
  std::uint64_t hash = 0;
  std::int64_t expires_ms = 0;
  std::uint64_t offset = 0;
  std::uint32_t stored_bytes = 0;
  std::uint32_t raw_bytes = 0;
  std::uint16_t key_bytes = 0;
  RecordKind kind = RecordKind::value;
  std::uint8_t method = 0;
  bool dead = false;  // the record was made void after it was written

  std::size_t record_bytes() const;
};
SegmentEntry entry_of(const RecordHeader& header, std::uint64_t hash, std::uint64_t offset);

// Bytes that a footer of so many entries takes at most, in a segment with so many bytes of data.
std::uint64_t footer_bytes_max(std::uint64_t data_bytes, std::size_t entries);
// What goes to offset `data_bytes`, up to the end of the file.
base::Bytes encode_footer(std::uint32_t number, std::uint64_t data_bytes,
                          const std::vector<SegmentEntry>& entries);

// What the last bytes of a file say, checked against its size.
struct Trailer {
  std::uint64_t data_bytes = 0;  // header and records; the footer starts there
  std::uint32_t entries = 0;
  std::uint32_t filter_blocks = 0;
  std::uint32_t crc = 0;  // of entries and filter

  std::uint64_t filter_offset() const;
  // One bit for each 64 bytes of the data: the record that starts in them is dead. Under no
  // checksum, since it changes in place; the mark on the record itself decides.
  std::uint64_t dead_offset() const;
  std::uint64_t dead_bytes() const;
};
std::optional<Trailer> decode_trailer(base::ByteSpan bytes, std::uint32_t number,
                                      std::uint64_t file_bytes);

struct Footer {
  std::vector<SegmentEntry> entries;
  BlockFilter filter;
};
// `bytes` from trailer.data_bytes up to the trailer; nullopt: damaged.
std::optional<Footer> decode_footer(const Trailer& trailer, base::ByteSpan bytes);

}  // namespace varve::cache
