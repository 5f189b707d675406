// An entry as bytes: the same on disk, in Redis and in packs of an object store, so that a value
// moves between tiers without being decoded. docs/formats/cache-record.md has the layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace varve::cache {

inline constexpr std::size_t kRecordHeaderBytes = 48;
inline constexpr std::size_t kRecordAlign = 16;

enum class RecordKind : std::uint8_t { value = 1, removal = 2 };

// What stands in front of key and payload.
struct RecordHeader {
  RecordKind kind = RecordKind::value;
  std::uint8_t method = 0;  // codec::Method of the payload
  std::uint16_t key_bytes = 0;
  std::uint32_t stored_bytes = 0;  // of the payload
  std::uint32_t raw_bytes = 0;     // of the value
  std::uint64_t sequence = 0;      // order of writes of one tier
  std::int64_t expires_ms = 0;     // since 1970; 0: never

  // Header, key and payload, rounded up to kRecordAlign.
  std::size_t record_bytes() const {
    const std::size_t bytes = kRecordHeaderBytes + key_bytes + stored_bytes;
    return (bytes + kRecordAlign - 1) / kRecordAlign * kRecordAlign;
  }
};

struct Record {
  RecordHeader header;
  std::string_view key;    // into the bytes it was decoded from
  base::ByteSpan payload;  // into the bytes it was decoded from
};

// Writes a whole record with its checksum and zero padding. REQUIRES: out.size() is
// header.record_bytes(), and the header has the sizes of key and payload.
void encode_record(const RecordHeader& header, std::string_view key, base::ByteSpan payload,
                   std::span<std::byte> out);

// The record at the front of `bytes`; nullopt: none of this version, cut short, or damaged. Every
// byte of header, key and payload is covered by the checksum.
std::optional<Record> decode_record(base::ByteSpan bytes);
// The same without the checksum, to find out how long a record is before all of it is read.
// REQUIRES: nothing; what it returns is not to be trusted beyond its bounds.
std::optional<RecordHeader> peek_record(base::ByteSpan bytes);

}  // namespace varve::cache
