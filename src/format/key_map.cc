#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "format/blobs.h"
#include "format/coding.h"

// Body: u64 entries, u32 blocks, u32 zero; for each block u64 first hash, u32 offset from the start
// of the body; the blocks. All blocks but the last hold kBlockEntries entries. A block:
//
//   offset  bytes  field
//        0      1  bits of a hash difference
//        1      1  bits of a part number
//        2      1  bits of a row number
//        3      1  entries - 1
//        4      8  the least part
//       12         hash - hash before, for all entries but the first;
//                  then part - least part of all entries; then row of all entries;
//                  all packed without gaps, low bits first; zero bits up to a whole byte
//
// Fixed widths in a block instead of varints: smaller (hash differences of a million keys take 28
// bits, not 40), and an entry is found without decoding those before it.

namespace varve::format {
namespace {

constexpr std::size_t kBlockEntries = 256;
constexpr std::size_t kBlockHeaderBytes = 12;
constexpr std::size_t kDirectoryOffset = 16;
constexpr std::size_t kDirectoryEntryBytes = 12;
constexpr std::uint64_t kHashEnd = std::uint64_t{1} << kKeyHashBits;

std::uint64_t low_bits(std::uint64_t value, unsigned width) {
  return width == 64 ? value : value & ((std::uint64_t{1} << width) - 1);
}

// REQUIRES: the bits lie in `bytes`.
std::uint64_t get_bits(base::ByteSpan bytes, std::size_t bit, unsigned width) {
  if (width == 0) return 0;
  const std::size_t at = bit / 8;
  const unsigned shift = bit % 8;
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + at, std::min(sizeof value, bytes.size() - at));
  value >>= shift;
  if (shift + width > 64) value |= std::to_integer<std::uint64_t>(bytes[at + 8]) << (64 - shift);
  return low_bits(value, width);
}

// REQUIRES: the bits lie in `bytes` and are zero.
void put_bits(std::span<std::byte> bytes, std::size_t bit, unsigned width, std::uint64_t value) {
  for (unsigned done = 0; done < width;) {
    const unsigned shift = (bit + done) % 8;
    bytes[(bit + done) / 8] |= static_cast<std::byte>((value >> done) << shift & 0xFFU);
    done += 8 - shift;
  }
}

// Widths of the columns of a block, and what follows from them.
struct Layout {
  unsigned hash = 0;
  unsigned part = 0;
  unsigned row = 0;
  std::size_t entries = 0;

  std::size_t parts_bit() const { return (entries - 1) * hash; }
  std::size_t rows_bit() const { return parts_bit() + entries * part; }
  std::size_t bits() const { return rows_bit() + entries * row; }
  std::size_t bytes() const { return kBlockHeaderBytes + (bits() + 7) / 8; }
};

void write_block(Writer& writer, std::span<const KeyLocation> entries) {
  std::uint64_t part_min = entries[0].part;
  for (const KeyLocation& entry : entries) part_min = std::min(part_min, entry.part);
  Layout layout;
  layout.entries = entries.size();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::uint64_t delta = i == 0 ? 0 : entries[i].hash - entries[i - 1].hash;
    layout.hash = std::max(layout.hash, static_cast<unsigned>(std::bit_width(delta)));
    layout.part =
        std::max(layout.part, static_cast<unsigned>(std::bit_width(entries[i].part - part_min)));
    layout.row = std::max(layout.row, static_cast<unsigned>(std::bit_width(entries[i].row)));
  }
  writer.u8(static_cast<std::uint8_t>(layout.hash));
  writer.u8(static_cast<std::uint8_t>(layout.part));
  writer.u8(static_cast<std::uint8_t>(layout.row));
  writer.u8(static_cast<std::uint8_t>(entries.size() - 1));
  writer.u64(part_min);
  const std::size_t packed_bytes = layout.bytes() - kBlockHeaderBytes;
  const std::span<std::byte> packed(writer.extend(packed_bytes), packed_bytes);
  std::fill(packed.begin(), packed.end(), std::byte{0});
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) {
      put_bits(packed, (i - 1) * layout.hash, layout.hash, entries[i].hash - entries[i - 1].hash);
    }
    put_bits(packed, layout.parts_bit() + i * layout.part, layout.part, entries[i].part - part_min);
    put_bits(packed, layout.rows_bit() + i * layout.row, layout.row, entries[i].row);
  }
}

}  // namespace

// One block, borrowed from the segment.
struct KeyMapSegment::Block {
  std::uint64_t first_hash = 0;
  std::uint64_t part_min = 0;
  Layout layout;
  base::ByteSpan packed;

  Block(base::ByteSpan bytes, std::uint64_t hash) : first_hash(hash) {
    Reader reader(bytes, "key map block");
    layout.hash = reader.u8("hash bits");
    layout.part = reader.u8("part bits");
    layout.row = reader.u8("row bits");
    layout.entries = std::size_t{reader.u8("entries")} + 1;
    part_min = reader.u64("least part");
    packed = bytes.subspan(reader.position());
  }

  bool fits(base::ByteSpan bytes) const {
    if (layout.hash > kKeyHashBits || layout.part > 64 || layout.row > 32) return false;
    if (bytes.size() != layout.bytes()) return false;
    const unsigned spare = static_cast<unsigned>(packed.size() * 8 - layout.bits());
    return spare == 0 || std::to_integer<unsigned>(packed.back()) >> (8 - spare) == 0;
  }
  std::uint64_t hash_delta(std::size_t i) const {
    return get_bits(packed, (i - 1) * layout.hash, layout.hash);
  }
  // Wraps around for hostile bytes, which `decode` refuses because the order breaks.
  std::uint64_t part(std::size_t i) const {
    return part_min + get_bits(packed, layout.parts_bit() + i * layout.part, layout.part);
  }
  std::uint32_t row(std::size_t i) const {
    return static_cast<std::uint32_t>(
        get_bits(packed, layout.rows_bit() + i * layout.row, layout.row));
  }
};

std::uint64_t key_hash(std::string_view key) {
  return codec::hash64(base::as_bytes(key)) >> (64 - kKeyHashBits);
}

base::Bytes encode_key_map(std::vector<KeyLocation> entries, const Uuid& index,
                           std::string_view name, base::Nonce nonce) {
  std::sort(entries.begin(), entries.end());
  // The same location twice says nothing more than once.
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  VARVE_ASSERT(entries.empty() || entries.back().hash < kHashEnd);
  const std::size_t blocks = (entries.size() + kBlockEntries - 1) / kBlockEntries;
  Writer writer(name, 64 + entries.size() * 8);
  const std::size_t body = writer.size();
  writer.u64(entries.size());
  writer.u32(static_cast<std::uint32_t>(blocks));
  writer.zeros(4);
  writer.zeros(blocks * kDirectoryEntryBytes);
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t begin = b * kBlockEntries;
    const std::span<const KeyLocation> rest = std::span(entries).subspan(begin);
    const std::uint64_t first_hash = rest[0].hash;
    VARVE_ASSERT(writer.size() - body <= 0xFFFFFFFFU);
    const auto offset = static_cast<std::uint32_t>(writer.size() - body);
    std::byte* const directory =
        writer.span().data() + body + kDirectoryOffset + b * kDirectoryEntryBytes;
    std::memcpy(directory, &first_hash, sizeof first_hash);
    std::memcpy(directory + sizeof first_hash, &offset, sizeof offset);
    write_block(writer, rest.first(std::min(kBlockEntries, rest.size())));
  }
  VARVE_ASSERT(writer.size() - body <= 0xFFFFFFFFU);
  return writer.seal(Identity{Kind::key_map, index, std::string(name), nonce});
}

Result<KeyMapSegment> KeyMapSegment::decode(const base::Bytes& object, const Uuid& index,
                                            std::string_view name) {
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::key_map, index, name));
  const std::string context = fmt::format("object {}", name);
  const auto corrupt = [&](std::string_view what) {
    return fail(ErrorKind::corrupt, fmt::format("{}: {}", context, what));
  };
  if (envelope.body.size() > 0xFFFFFFFFU) return corrupt("body: larger than 4 GiB");
  Reader reader(envelope.body, context);
  KeyMapSegment segment;
  segment.bytes_ = envelope.body;
  segment.count_ = reader.u64("entries");
  const std::size_t blocks = reader.count(kDirectoryEntryBytes + kBlockHeaderBytes, "blocks");
  reader.zeros(4, "reserved");
  for (std::size_t b = 0; b < blocks && reader.ok(); ++b) {
    segment.first_hash_.push_back(reader.u64("first hash"));
    segment.block_offsets_.push_back(reader.u32("block offset"));
  }
  if (!reader.ok()) return tl::unexpected<Error>(reader.finish().error());
  segment.block_offsets_.push_back(static_cast<std::uint32_t>(envelope.body.size()));
  if (segment.block_offsets_[0] != reader.position()) return corrupt("first block: wrong offset");
  VARVE_CHECK(segment.check(context));
  return segment;
}

Status KeyMapSegment::check(std::string_view context) const {
  const auto corrupt = [&](std::size_t block, std::string_view what) {
    return fail(ErrorKind::corrupt, fmt::format("{}: block {}: {}", context, block, what));
  };
  KeyLocation previous;
  std::uint64_t total = 0;
  for (std::size_t b = 0; b < first_hash_.size(); ++b) {
    if (block_offsets_[b + 1] < block_offsets_[b] || block_offsets_[b + 1] > bytes_.size() ||
        block_offsets_[b + 1] - block_offsets_[b] < kBlockHeaderBytes) {
      return corrupt(b, "wrong offset");
    }
    const Block current = block(b);
    const bool last = b + 1 == first_hash_.size();
    if (!current.fits(block_bytes(b))) return corrupt(b, "its size does not fit its widths");
    if (!last && current.layout.entries != kBlockEntries) return corrupt(b, "is not full");
    KeyLocation entry{current.first_hash, 0, 0};
    for (std::size_t i = 0; i < current.layout.entries; ++i) {
      if (i > 0) entry.hash += current.hash_delta(i);
      entry.part = current.part(i);
      entry.row = current.row(i);
      if (total + i > 0 && entry <= previous) return corrupt(b, "entries are not in order");
      if (entry.hash >= kHashEnd) return corrupt(b, "hash is too large");
      previous = entry;
    }
    total += current.layout.entries;
  }
  if (total != count_) return corrupt(first_hash_.size(), "number of entries is wrong");
  return {};
}

base::ByteSpan KeyMapSegment::block_bytes(std::size_t block) const {
  return bytes_.span().subspan(block_offsets_[block],
                               block_offsets_[block + 1] - block_offsets_[block]);
}

KeyMapSegment::Block KeyMapSegment::block(std::size_t block) const {
  return Block(block_bytes(block), first_hash_[block]);
}

void KeyMapSegment::find(std::uint64_t hash, std::vector<KeyLocation>& out) const {
  // The first block whose first hash is not below `hash`; entries with it may end the one before.
  const auto at = std::lower_bound(first_hash_.begin(), first_hash_.end(), hash);
  std::size_t b = static_cast<std::size_t>(at - first_hash_.begin());
  if (b > 0) --b;
  for (; b < first_hash_.size() && first_hash_[b] <= hash; ++b) {
    const Block current = block(b);
    std::uint64_t entry_hash = current.first_hash;
    for (std::size_t i = 0; i < current.layout.entries; ++i) {
      if (i > 0) entry_hash += current.hash_delta(i);
      if (entry_hash > hash) return;
      if (entry_hash == hash) out.push_back({hash, current.part(i), current.row(i)});
    }
  }
}

std::vector<KeyLocation> KeyMapSegment::entries() const {
  std::vector<KeyLocation> all;
  all.reserve(count_);
  for (std::size_t b = 0; b < first_hash_.size(); ++b) {
    const Block current = block(b);
    std::uint64_t hash = current.first_hash;
    for (std::size_t i = 0; i < current.layout.entries; ++i) {
      if (i > 0) hash += current.hash_delta(i);
      all.push_back({hash, current.part(i), current.row(i)});
    }
  }
  return all;
}

}  // namespace varve::format
