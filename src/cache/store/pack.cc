#include "cache/store/pack.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>

#include "base/assert.h"
#include "codec/checksum.h"
#include "varve/cache/tier.h"

namespace varve::cache::packs {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t kMagic = 0x0A0D4B4341505656;  // "VVPACK\r\n"
constexpr std::uint32_t kVersion = 1;

// Byte for byte; no padding.
struct TrailerLayout {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t entries;
  std::uint64_t data_bytes;
  std::uint64_t index_bytes;
  std::uint64_t reserved[3];
  std::uint32_t index_crc;
  std::uint32_t crc;  // of all before it
};
static_assert(sizeof(TrailerLayout) == kTrailerBytes);

struct EntryLayout {
  std::uint64_t sequence;
  std::int64_t expires_ms;
  std::uint64_t bytes;
  std::uint16_t key_bytes;
  std::uint8_t kind;
  std::uint8_t reserved[5];
};
static_assert(sizeof(EntryLayout) == kIndexEntryBytes);

template <typename T>
void append(std::string& out, const T& layout) {
  out.append(reinterpret_cast<const char*>(&layout), sizeof(layout));
}

std::uint32_t crc_of(const TrailerLayout& layout) {
  return codec::crc32c(
      base::ByteSpan(reinterpret_cast<const std::byte*>(&layout), offsetof(TrailerLayout, crc)));
}

tl::unexpected<Error> damaged(std::string_view name, std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("pack '{}': {}", name, what));
}

// Sizes that a record of such a key can have.
bool is_record_size(std::uint64_t bytes, std::uint64_t key_bytes, std::uint8_t kind) {
  RecordHeader least;
  least.key_bytes = static_cast<std::uint16_t>(key_bytes);
  RecordHeader most = least;
  most.stored_bytes = kind == 1 ? ~std::uint32_t{0} : 0;
  return bytes % kRecordAlign == 0 && bytes >= least.record_bytes() && bytes <= most.record_bytes();
}

}  // namespace

std::string printable(std::string_view key) {
  std::string text;
  for (const char c : key.substr(0, 64)) {
    if (c >= ' ' && c <= '~') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return text;
}

std::string PackName::text() const {
  return fmt::format("{:020}-{:08}-{}", sequence, level, nonce);
}

Result<PackName> parse_pack_name(std::string_view name) {
  constexpr std::size_t kSequenceDigits = 20, kLevelDigits = 8, kNonceDigits = 32;
  PackName parsed;
  if (name.size() != kSequenceDigits + kLevelDigits + kNonceDigits + 2) {
    return damaged(name, "has no name of a pack");
  }
  const char* at = name.data();
  const auto sequence = std::from_chars(at, at + kSequenceDigits, parsed.sequence);
  at += kSequenceDigits + 1;
  const auto level = std::from_chars(at, at + kLevelDigits, parsed.level);
  parsed.nonce = name.substr(kSequenceDigits + kLevelDigits + 2);
  if (sequence.ec != std::errc() || level.ec != std::errc() || parsed.text() != name) {
    return damaged(name, "has no name of a pack");
  }
  return parsed;
}

void PackBuilder::add(const RecordHeader& header, std::string_view key, base::ByteSpan payload) {
  const std::size_t offset = data_.size();
  const std::size_t bytes = header.record_bytes();
  data_.resize(offset + bytes);
  encode_record(header, key, payload, {reinterpret_cast<std::byte*>(data_.data()) + offset, bytes});
  entries_.push_back(
      {header.kind, header.sequence, header.expires_ms, offset, bytes, std::string(key)});
}

base::Bytes PackBuilder::take() {
  data_ += encode_footer(entries_, data_.size());
  entries_.clear();
  base::Bytes object(std::move(data_));
  data_.clear();
  return object;
}

std::string encode_footer(const std::vector<PackEntry>& entries, std::uint64_t data_bytes) {
  std::string footer;
  for (const PackEntry& entry : entries) {
    EntryLayout layout{};
    layout.sequence = entry.sequence;
    layout.expires_ms = entry.expires_ms;
    layout.bytes = entry.bytes;
    layout.key_bytes = static_cast<std::uint16_t>(entry.key.size());
    layout.kind = static_cast<std::uint8_t>(entry.kind);
    append(footer, layout);
    footer += entry.key;
  }
  TrailerLayout trailer{};
  trailer.magic = kMagic;
  trailer.version = kVersion;
  trailer.entries = static_cast<std::uint32_t>(entries.size());
  trailer.data_bytes = data_bytes;
  trailer.index_bytes = footer.size();
  trailer.index_crc = codec::crc32c(base::as_bytes(footer));
  trailer.crc = crc_of(trailer);
  append(footer, trailer);
  return footer;
}

Result<PackTrailer> decode_trailer(base::ByteSpan tail, std::uint64_t object_bytes,
                                   std::string_view name) {
  if (tail.size() < kTrailerBytes || object_bytes < tail.size()) return damaged(name, "too short");
  TrailerLayout layout;
  std::memcpy(&layout, tail.last(kTrailerBytes).data(), kTrailerBytes);
  if (layout.magic != kMagic) return damaged(name, "is no pack");
  if (layout.crc != crc_of(layout)) return damaged(name, "wrong checksum of the trailer");
  if (layout.version != kVersion) {
    return damaged(name, fmt::format("version {} is not known", layout.version));
  }
  for (const std::uint64_t word : layout.reserved) {
    if (word != 0) return damaged(name, "reserved bytes are not zero");
  }
  const std::uint64_t rest = object_bytes - kTrailerBytes;
  if (layout.index_bytes > rest || layout.data_bytes != rest - layout.index_bytes) {
    return damaged(name, "sizes do not add up");
  }
  if (layout.entries > layout.index_bytes / kIndexEntryBytes) {
    return damaged(name, "more entries than its index holds");
  }
  return PackTrailer{layout.entries, layout.data_bytes, layout.index_bytes, layout.index_crc};
}

Result<std::vector<PackEntry>> decode_index(const PackTrailer& trailer, base::ByteSpan index,
                                            std::string_view name) {
  VARVE_ASSERT(index.size() == trailer.index_bytes);
  if (codec::crc32c(index) != trailer.index_crc)
    return damaged(name, "wrong checksum of the index");
  std::vector<PackEntry> entries;
  entries.reserve(trailer.entries);
  std::uint64_t offset = 0;
  for (std::uint32_t i = 0; i < trailer.entries; ++i) {
    if (index.size() < kIndexEntryBytes) return damaged(name, "index ends early");
    EntryLayout layout;
    std::memcpy(&layout, index.data(), kIndexEntryBytes);
    index = index.subspan(kIndexEntryBytes);
    if (layout.key_bytes == 0 || layout.key_bytes > kKeyBytesMax) {
      return damaged(name, "length of a key");
    }
    if (layout.key_bytes > index.size()) return damaged(name, "index ends early");
    if (layout.kind != 1 && layout.kind != 2) return damaged(name, "kind of a record");
    for (const std::uint8_t byte : layout.reserved) {
      if (byte != 0) return damaged(name, "reserved bytes are not zero");
    }
    if (!is_record_size(layout.bytes, layout.key_bytes, layout.kind) ||
        layout.bytes > trailer.data_bytes - offset) {
      return damaged(name, "size of a record");
    }
    entries.push_back({static_cast<RecordKind>(layout.kind), layout.sequence, layout.expires_ms,
                       offset, layout.bytes,
                       std::string(base::as_text(index.first(layout.key_bytes)))});
    index = index.subspan(layout.key_bytes);
    offset += layout.bytes;
  }
  if (!index.empty()) return damaged(name, "bytes behind its index");
  if (offset != trailer.data_bytes) return damaged(name, "bytes behind its records");
  return entries;
}

}  // namespace varve::cache::packs
