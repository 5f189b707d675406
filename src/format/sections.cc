#include "format/sections.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "codec/zstd.h"
#include "format/coding.h"
#include "format/group.h"
#include "format/part.h"

namespace varve::format {
namespace {

// The least a row takes in section B: a length, a byte of key, three differences.
constexpr std::size_t kIdBytesMin = 5;

template <std::uint64_t Lsn::*Member>
void write_column(Writer& writer, std::span<const Lsn> lsns) {
  std::uint64_t previous = 0;
  for (const Lsn& lsn : lsns) {
    writer.varint(zigzag(previous, lsn.*Member));
    previous = lsn.*Member;
  }
}

template <std::uint64_t Lsn::*Member>
void read_column(Reader& reader, std::span<Lsn> lsns, std::string_view field) {
  std::uint64_t previous = 0;
  for (Lsn& lsn : lsns) {
    previous = unzigzag(previous, reader.varint(field));
    lsn.*Member = previous;
    if (!reader.ok()) return;
  }
}

// Lengths as the ends of the texts, which must add up to `total`.
std::vector<std::uint32_t> read_ends(Reader& reader, std::uint32_t rows, std::uint32_t total,
                                     std::uint64_t length_min, std::uint64_t length_max,
                                     std::string_view field) {
  std::vector<std::uint32_t> ends;
  ends.reserve(rows);
  std::uint64_t end = 0;
  for (std::uint32_t row = 0; row < rows && reader.ok(); ++row) {
    const std::uint64_t length = reader.varint(field);
    if (length < length_min || length > length_max) reader.fail(field, "length is out of range");
    end += length;
    if (end > total) reader.fail(field, "lengths are more than the whole");
    ends.push_back(static_cast<std::uint32_t>(end));
  }
  if (end != total) reader.fail(field, "lengths do not add up to the whole");
  return ends;
}

void check_keys(Reader& reader, std::string_view keys, std::span<const std::uint32_t> ends) {
  // A block of plain ASCII without NUL needs no look at each key.
  if (std::all_of(keys.begin(), keys.end(), [](char c) { return static_cast<signed char>(c) > 0; }))
    return;
  std::size_t begin = 0;
  for (const std::uint32_t end : ends) {
    if (!is_key(keys.substr(begin, end - begin))) {
      reader.fail("section B: key", "not UTF-8 without NUL");
    }
    begin = end;
  }
}

}  // namespace

base::Bytes encode_row_ids(std::span<const std::string_view> keys, std::span<const Lsn> lsns) {
  VARVE_ASSERT(keys.size() == lsns.size());
  std::size_t key_bytes = 0;
  for (const std::string_view key : keys) {
    VARVE_ASSERT(!key.empty());
    VARVE_ASSERT(key.size() <= kKeyBytesMax);
    key_bytes += key.size();
  }
  VARVE_ASSERT(key_bytes <= 0xFFFFFFFFU);
  Writer writer;
  writer.u8(0);
  writer.zeros(3);
  writer.u32(static_cast<std::uint32_t>(key_bytes));
  for (const std::string_view key : keys) writer.varint(key.size());
  for (const std::string_view key : keys) writer.bytes(base::as_bytes(key));
  write_column<&Lsn::epoch>(writer, lsns);
  write_column<&Lsn::seq>(writer, lsns);
  write_column<&Lsn::op>(writer, lsns);
  return writer.take();
}

base::Bytes encode_row_metadata(std::span<const std::string_view> metadata) {
  std::size_t text_bytes = 0;
  for (const std::string_view text : metadata) {
    VARVE_ASSERT(text.size() <= kMetadataBytesMax);
    text_bytes += text.size();
  }
  VARVE_ASSERT(text_bytes <= 0xFFFFFFFFU);
  if (text_bytes == 0) return {};
  Writer writer;
  writer.u32(static_cast<std::uint32_t>(text_bytes));
  for (const std::string_view text : metadata) writer.varint(text.size());
  for (const std::string_view text : metadata) writer.bytes(base::as_bytes(text));
  return writer.take();
}

Result<base::Bytes> decode_section(const base::Bytes& stored, const SectionRef& ref,
                                   std::string_view context) {
  const auto corrupt = [&](std::string_view what) {
    return fail(ErrorKind::corrupt, fmt::format("{}: {}", context, what));
  };
  if (stored.size() != ref.stored_bytes) {
    return corrupt(fmt::format("{} bytes, expected {}", stored.size(), ref.stored_bytes));
  }
  if (codec::crc32c(stored) != ref.crc32c) return corrupt("checksum mismatch");
  if (const auto fault = section_fault(ref); !fault.empty()) return corrupt(fault);
  if (ref.encoding == SectionEncoding::raw) return stored;
  if (ref.encoding != SectionEncoding::zstd) return corrupt("unknown encoding");
  auto raw = codec::decompress(stored, ref.raw_bytes);
  if (!raw) return tl::unexpected<Error>(raw.error().with_context(context));
  return raw;
}

Result<RowIds> RowIds::decode(const base::Bytes& section, std::uint32_t rows,
                              std::string_view context) {
  Reader reader(section, context);
  reader.choice(0, 0, "section B: key encoding");
  reader.zeros(3, "section B: reserved");
  const std::uint32_t key_bytes = reader.u32("section B: key bytes");
  if (rows > reader.remaining() / kIdBytesMin) reader.fail("section B", "too short for its rows");
  if (!reader.ok()) return tl::unexpected<Error>(reader.finish().error());

  RowIds ids;
  ids.bytes_ = section;
  ids.key_ends_ = read_ends(reader, rows, key_bytes, 1, kKeyBytesMax, "section B: keys");
  ids.keys_offset_ = reader.position();
  const base::ByteSpan keys = reader.bytes(key_bytes, "section B: keys");
  if (reader.ok()) check_keys(reader, base::as_text(keys), ids.key_ends_);
  if (reader.ok()) {
    ids.lsns_.resize(rows);
    read_column<&Lsn::epoch>(reader, ids.lsns_, "section B: epoch");
    read_column<&Lsn::seq>(reader, ids.lsns_, "section B: seq");
    read_column<&Lsn::op>(reader, ids.lsns_, "section B: op");
  }
  VARVE_CHECK(reader.finish());
  return ids;
}

std::string_view RowIds::key(std::size_t row) const {
  const std::size_t begin = row == 0 ? 0 : key_ends_[row - 1];
  return base::as_text(bytes_).substr(keys_offset_ + begin, key_ends_[row] - begin);
}

std::size_t RowIds::resident_bytes() const {
  return bytes_.size() + key_ends_.size() * sizeof(key_ends_[0]) + lsns_.size() * sizeof(Lsn);
}

Result<RowMetadata> RowMetadata::decode(const base::Bytes& section, std::uint32_t rows,
                                        std::string_view context) {
  RowMetadata metadata;
  if (section.empty()) return metadata;
  Reader reader(section, context);
  const std::uint32_t text_bytes = reader.u32("section F: bytes");
  if (rows > reader.remaining()) reader.fail("section F", "too short for its rows");
  if (!reader.ok()) return tl::unexpected<Error>(reader.finish().error());
  metadata.bytes_ = section;
  metadata.ends_ = read_ends(reader, rows, text_bytes, 0, kMetadataBytesMax, "section F: metadata");
  metadata.text_offset_ = reader.position();
  reader.bytes(text_bytes, "section F: metadata");
  VARVE_CHECK(reader.finish());
  return metadata;
}

std::string_view RowMetadata::at(std::size_t row) const {
  if (ends_.empty()) return {};
  const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
  return base::as_text(bytes_).substr(text_offset_ + begin, ends_[row] - begin);
}

}  // namespace varve::format
