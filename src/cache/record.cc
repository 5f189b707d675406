#include "cache/record.h"

#include <bit>
#include <cstring>

#include "base/assert.h"
#include "codec/checksum.h"
#include "varve/cache/tier.h"

namespace varve::cache {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t kMagic = 0x52435656;  // "VVCR"
constexpr std::uint8_t kVersion = 1;

// Byte for byte; no padding.
struct Layout {
  std::uint32_t magic;
  std::uint32_t crc;  // of everything behind it
  std::uint8_t version;
  std::uint8_t kind;
  std::uint8_t method;
  std::uint8_t reserved;
  std::uint16_t key_bytes;
  std::uint16_t reserved2;
  std::uint32_t stored_bytes;
  std::uint32_t raw_bytes;
  std::uint64_t sequence;
  std::int64_t expires_ms;
  std::uint64_t reserved3;
};
static_assert(sizeof(Layout) == kRecordHeaderBytes);
constexpr std::size_t kCrcEnd = offsetof(Layout, crc) + sizeof(Layout::crc);

std::optional<Layout> layout_of(base::ByteSpan bytes) {
  if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
  Layout layout;
  std::memcpy(&layout, bytes.data(), sizeof(layout));
  if (layout.magic != kMagic || layout.version != kVersion) return std::nullopt;
  if (layout.kind != 1 && layout.kind != 2) return std::nullopt;
  if (layout.key_bytes == 0 || layout.key_bytes > kKeyBytesMax) return std::nullopt;
  return layout;
}

RecordHeader header_of(const Layout& layout) {
  return {static_cast<RecordKind>(layout.kind),
          layout.method,
          layout.key_bytes,
          layout.stored_bytes,
          layout.raw_bytes,
          layout.sequence,
          layout.expires_ms};
}

}  // namespace

void encode_record(const RecordHeader& header, std::string_view key, base::ByteSpan payload,
                   std::span<std::byte> out) {
  VARVE_ASSERT(out.size() == header.record_bytes());
  VARVE_ASSERT(key.size() == header.key_bytes);
  VARVE_ASSERT(payload.size() == header.stored_bytes);
  Layout layout{};
  layout.magic = kMagic;
  layout.version = kVersion;
  layout.kind = static_cast<std::uint8_t>(header.kind);
  layout.method = header.method;
  layout.key_bytes = header.key_bytes;
  layout.stored_bytes = header.stored_bytes;
  layout.raw_bytes = header.raw_bytes;
  layout.sequence = header.sequence;
  layout.expires_ms = header.expires_ms;
  std::byte* at = out.data();
  std::memcpy(at, &layout, sizeof(layout));
  at += sizeof(layout);
  std::memcpy(at, key.data(), key.size());
  at += key.size();
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
  at += payload.size();
  std::memset(at, 0, static_cast<std::size_t>(out.data() + out.size() - at));
  const std::size_t bytes = kRecordHeaderBytes + key.size() + payload.size();
  layout.crc = codec::crc32c(out.first(bytes).subspan(kCrcEnd));
  std::memcpy(out.data() + offsetof(Layout, crc), &layout.crc, sizeof(layout.crc));
}

std::optional<RecordHeader> peek_record(base::ByteSpan bytes) {
  const auto layout = layout_of(bytes);
  if (!layout) return std::nullopt;
  return header_of(*layout);
}

std::optional<Record> decode_record(base::ByteSpan bytes) {
  const auto layout = layout_of(bytes);
  if (!layout) return std::nullopt;
  const std::size_t body = std::size_t{layout->key_bytes} + layout->stored_bytes;
  if (bytes.size() - kRecordHeaderBytes < body) return std::nullopt;
  const base::ByteSpan whole = bytes.first(kRecordHeaderBytes + body);
  if (codec::crc32c(whole.subspan(kCrcEnd)) != layout->crc) return std::nullopt;
  const base::ByteSpan behind = whole.subspan(kRecordHeaderBytes);
  return Record{header_of(*layout), base::as_text(behind.first(layout->key_bytes)),
                behind.subspan(layout->key_bytes)};
}

}  // namespace varve::cache
