#include "cache/disk/layout.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>

#include "codec/checksum.h"
#include "varve/cache/tier.h"

namespace varve::cache {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t kHeaderMagic = 0x53435656;   // "VVCS"
constexpr std::uint32_t kTrailerMagic = 0x46435656;  // "VVCF"
constexpr std::uint16_t kVersion = 1;
constexpr std::string_view kSuffix = ".seg";
constexpr std::size_t kNameDigits = 8;
// Records are at least so long, so that each starts in a granule of its own.
constexpr std::uint64_t kGranule = 64;

// Byte for byte; no padding. In headers of all versions the CRC-32C covers bytes 8 to 63.
struct HeaderLayout {
  std::uint32_t magic;
  std::uint32_t crc;
  std::uint16_t version;
  std::uint16_t reserved;
  std::uint32_t number;
  std::array<std::byte, 48> reserved2;
};
static_assert(sizeof(HeaderLayout) == kSegmentHeaderBytes);

struct EntryLayout {
  std::uint64_t hash;
  std::int64_t expires_ms;
  std::uint32_t place;  // offset / 16
  std::uint32_t stored_bytes;
  std::uint32_t raw_bytes;
  std::uint16_t key_bytes;
  std::uint8_t kind;
  std::uint8_t method;
};
static_assert(sizeof(EntryLayout) == kEntryBytes);

struct TrailerLayout {
  std::uint32_t magic;
  std::uint32_t crc;  // of bytes 8 to 63
  std::uint16_t version;
  std::uint16_t reserved;
  std::uint32_t number;
  std::uint64_t data_bytes;
  std::uint32_t entries;
  std::uint32_t filter_blocks;
  std::uint32_t content_crc;
  std::array<std::byte, 28> reserved2;
};
static_assert(sizeof(TrailerLayout) == kTrailerBytes);

template <typename T>
std::uint32_t crc_behind_it(const T& layout) {
  constexpr std::size_t kBehind = offsetof(T, crc) + sizeof(layout.crc);
  return codec::crc32c(std::as_bytes(std::span(&layout, 1)).subspan(kBehind));
}

std::uint64_t dead_bytes_of(std::uint64_t data_bytes) {
  const std::uint64_t bytes = (data_bytes + kGranule * 8 - 1) / (kGranule * 8);
  return (bytes + kRecordAlign - 1) / kRecordAlign * kRecordAlign;
}

bool fits(const EntryLayout& entry, std::uint64_t from, std::uint64_t data_bytes) {
  if (entry.kind != 1 && entry.kind != 2) return false;
  if (entry.key_bytes == 0 || entry.key_bytes > kKeyBytesMax) return false;
  const std::uint64_t offset = std::uint64_t{entry.place} * kRecordAlign;
  const std::uint64_t bytes = kRecordHeaderBytes + entry.key_bytes + entry.stored_bytes;
  return offset >= from && offset <= data_bytes && bytes <= data_bytes - offset;
}

}  // namespace

std::string segment_name(std::uint32_t number) { return fmt::format("{:08x}{}", number, kSuffix); }

std::optional<std::uint32_t> segment_number(std::string_view name) {
  if (name.size() != kNameDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint32_t number = 0;
  const char* end = name.data() + kNameDigits;
  const auto parsed = std::from_chars(name.data(), end, number, 16);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  // Refuses capital letters too: a name stands for one number and the other way round.
  if (number == 0 || number > kSegmentNumberMax || segment_name(number) != name)
    return std::nullopt;
  return number;
}

std::array<std::byte, kSegmentHeaderBytes> encode_segment_header(std::uint32_t number) {
  HeaderLayout layout{};
  layout.magic = kHeaderMagic;
  layout.version = kVersion;
  layout.number = number;
  layout.crc = crc_behind_it(layout);
  return std::bit_cast<std::array<std::byte, kSegmentHeaderBytes>>(layout);
}

HeaderVerdict check_segment_header(base::ByteSpan bytes, std::uint32_t number) {
  if (bytes.size() < kSegmentHeaderBytes) return HeaderVerdict::damaged;
  HeaderLayout layout;
  std::memcpy(&layout, bytes.data(), sizeof(layout));
  if (layout.magic != kHeaderMagic || layout.crc != crc_behind_it(layout)) {
    return HeaderVerdict::damaged;
  }
  if (layout.version != kVersion) return HeaderVerdict::foreign_version;
  return layout.number == number ? HeaderVerdict::ours : HeaderVerdict::damaged;
}

std::size_t SegmentEntry::record_bytes() const {
  RecordHeader header;
  header.key_bytes = key_bytes;
  header.stored_bytes = stored_bytes;
  return header.record_bytes();
}

SegmentEntry entry_of(const RecordHeader& header, std::uint64_t hash, std::uint64_t offset) {
  return {hash,
          header.expires_ms,
          offset,
          header.stored_bytes,
          header.raw_bytes,
          header.key_bytes,
          header.kind,
          header.method,
          false};
}

std::uint64_t footer_bytes_max(std::uint64_t data_bytes, std::size_t entries) {
  return entries * kEntryBytes + BlockFilter::blocks_for(entries) * sizeof(BlockFilter::Block) +
         dead_bytes_of(data_bytes) + kTrailerBytes;
}

base::Bytes encode_footer(std::uint32_t number, std::uint64_t data_bytes,
                          const std::vector<SegmentEntry>& entries) {
  BlockFilter filter(entries.size());
  for (const SegmentEntry& entry : entries) filter.add(entry.hash);
  base::Buffer buffer(footer_bytes_max(data_bytes, entries.size()));
  std::memset(buffer.data(), 0, buffer.size());
  std::byte* at = buffer.data();
  for (const SegmentEntry& entry : entries) {
    const EntryLayout layout{entry.hash,
                             entry.expires_ms,
                             static_cast<std::uint32_t>(entry.offset / kRecordAlign),
                             entry.stored_bytes,
                             entry.raw_bytes,
                             entry.key_bytes,
                             static_cast<std::uint8_t>(entry.kind),
                             entry.method};
    std::memcpy(at, &layout, sizeof(layout));
    at += sizeof(layout);
  }
  const std::size_t filter_bytes = filter.blocks().size() * sizeof(BlockFilter::Block);
  if (filter_bytes != 0) std::memcpy(at, filter.blocks().data(), filter_bytes);
  at += filter_bytes;
  TrailerLayout trailer{};
  trailer.content_crc =
      codec::crc32c(buffer.span().first(static_cast<std::size_t>(at - buffer.data())));
  for (const SegmentEntry& entry : entries) {
    if (!entry.dead) continue;
    const std::uint64_t granule = entry.offset / kGranule;
    at[granule / 8] |= std::byte{1} << (granule % 8);
  }
  at += dead_bytes_of(data_bytes);
  trailer.magic = kTrailerMagic;
  trailer.version = kVersion;
  trailer.number = number;
  trailer.data_bytes = data_bytes;
  trailer.entries = static_cast<std::uint32_t>(entries.size());
  trailer.filter_blocks = static_cast<std::uint32_t>(filter.blocks().size());
  trailer.crc = crc_behind_it(trailer);
  std::memcpy(at, &trailer, sizeof(trailer));
  return base::Bytes(std::move(buffer));
}

std::uint64_t Trailer::filter_offset() const {
  return data_bytes + std::uint64_t{entries} * kEntryBytes;
}
std::uint64_t Trailer::dead_offset() const {
  return filter_offset() + std::uint64_t{filter_blocks} * sizeof(BlockFilter::Block);
}
std::uint64_t Trailer::dead_bytes() const { return dead_bytes_of(data_bytes); }

std::optional<Trailer> decode_trailer(base::ByteSpan bytes, std::uint32_t number,
                                      std::uint64_t file_bytes) {
  if (bytes.size() != kTrailerBytes) return std::nullopt;
  TrailerLayout layout;
  std::memcpy(&layout, bytes.data(), sizeof(layout));
  if (layout.magic != kTrailerMagic || layout.crc != crc_behind_it(layout)) return std::nullopt;
  if (layout.version != kVersion || layout.number != number) return std::nullopt;
  const Trailer trailer{layout.data_bytes, layout.entries, layout.filter_blocks,
                        layout.content_crc};
  if (trailer.data_bytes < kSegmentHeaderBytes || trailer.data_bytes > file_bytes) {
    return std::nullopt;
  }
  if (trailer.data_bytes % kRecordAlign != 0) return std::nullopt;
  if (trailer.dead_offset() + trailer.dead_bytes() + kTrailerBytes != file_bytes) {
    return std::nullopt;
  }
  return trailer;
}

std::optional<Footer> decode_footer(const Trailer& trailer, base::ByteSpan bytes) {
  const std::uint64_t content = trailer.dead_offset() - trailer.data_bytes;
  if (bytes.size() != content + trailer.dead_bytes()) return std::nullopt;
  if (codec::crc32c(bytes.first(content)) != trailer.crc) return std::nullopt;
  const base::ByteSpan dead = bytes.subspan(content);
  Footer footer;
  footer.entries.reserve(trailer.entries);
  std::uint64_t from = kSegmentHeaderBytes;
  for (std::uint32_t i = 0; i < trailer.entries; ++i) {
    EntryLayout layout;
    std::memcpy(&layout, bytes.data() + std::size_t{i} * kEntryBytes, sizeof(layout));
    if (!fits(layout, from, trailer.data_bytes)) return std::nullopt;
    const std::uint64_t offset = std::uint64_t{layout.place} * kRecordAlign;
    const std::uint64_t granule = offset / kGranule;
    const bool is_dead = (dead[granule / 8] >> (granule % 8) & std::byte{1}) != std::byte{0};
    footer.entries.push_back({layout.hash, layout.expires_ms, offset, layout.stored_bytes,
                              layout.raw_bytes, layout.key_bytes,
                              static_cast<RecordKind>(layout.kind), layout.method, is_dead});
    from = offset + footer.entries.back().record_bytes();
  }
  std::vector<BlockFilter::Block> blocks(trailer.filter_blocks);
  const std::size_t filter_bytes = blocks.size() * sizeof(BlockFilter::Block);
  const auto filter_at = trailer.filter_offset() - trailer.data_bytes;
  if (filter_bytes != 0) std::memcpy(blocks.data(), bytes.data() + filter_at, filter_bytes);
  footer.filter = BlockFilter(std::move(blocks));
  return footer;
}

}  // namespace varve::cache
