#include "format/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/assert.h"
#include "codec/zstd.h"
#include "format/coding.h"
#include "format/group.h"
#include "format/part.h"

namespace varve::format {
namespace {

enum class KeyEncoding : std::uint8_t { text = 0, decimal = 1 };

// The least a row takes in section B: one byte of the key, three of the LSN.
constexpr std::size_t kIdBytesMin = 4;
constexpr std::size_t kDecimalDigitsMax = 20;

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

// The number that `key` is the only spelling of.
std::optional<std::uint64_t> decimal(std::string_view key) {
  if (key.empty() || (key.size() > 1 && key.front() == '0')) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = key.data() + key.size();
  const auto [stop, error] = std::from_chars(key.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// All keys as numbers, or none if one is not a number.
std::vector<std::uint64_t> decimals(std::span<const std::string_view> keys) {
  std::vector<std::uint64_t> numbers;
  for (const std::string_view key : keys) {
    const auto number = decimal(key);
    if (!number) return {};
    numbers.push_back(*number);
  }
  return numbers;
}

void write_keys(Writer& writer, std::span<const std::string_view> keys) {
  const std::vector<std::uint64_t> numbers = decimals(keys);
  writer.u8(static_cast<std::uint8_t>(numbers.empty() ? KeyEncoding::text : KeyEncoding::decimal));
  writer.zeros(3);
  std::size_t key_bytes = 0;
  for (const std::string_view key : keys) key_bytes += key.size();
  VARVE_ASSERT(key_bytes <= 0xFFFFFFFFU);
  writer.u32(static_cast<std::uint32_t>(key_bytes));
  std::uint64_t previous = 0;
  for (const std::uint64_t number : numbers) {
    writer.varint(zigzag(previous, number));
    previous = number;
  }
  if (!numbers.empty()) return;
  for (const std::string_view key : keys) writer.varint(key.size());
  for (const std::string_view key : keys) writer.bytes(base::as_bytes(key));
}

// Spells the numbers out: `text` gets the keys, `ends` where each ends.
void read_decimals(Reader& reader, std::uint32_t rows, std::uint32_t key_bytes,
                   std::vector<std::uint32_t>& ends, base::Bytes& text) {
  if (key_bytes > rows * kDecimalDigitsMax) reader.fail("section B: key bytes", "out of range");
  if (!reader.ok()) return;
  base::Buffer buffer(key_bytes);
  char* const begin = reinterpret_cast<char*>(buffer.data());
  char* at = begin;
  std::uint64_t number = 0;
  ends.reserve(rows);
  for (std::uint32_t row = 0; row < rows && reader.ok(); ++row) {
    number = unzigzag(number, reader.varint("section B: keys"));
    const auto [stop, error] = std::to_chars(at, begin + key_bytes, number);
    if (error != std::errc()) reader.fail("section B: keys", "longer than recorded");
    if (!reader.ok()) return;
    at = stop;
    ends.push_back(static_cast<std::uint32_t>(at - begin));
  }
  if (at != begin + key_bytes) reader.fail("section B: keys", "shorter than recorded");
  text = base::Bytes(std::move(buffer));
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
  for (const std::string_view key : keys) {
    VARVE_ASSERT(!key.empty());
    VARVE_ASSERT(key.size() <= kKeyBytesMax);
  }
  Writer writer;
  write_keys(writer, keys);
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
  const auto encoding = static_cast<KeyEncoding>(reader.choice(0, 1, "section B: key encoding"));
  reader.zeros(3, "section B: reserved");
  const std::uint32_t key_bytes = reader.u32("section B: key bytes");
  if (rows > reader.remaining() / kIdBytesMin) reader.fail("section B", "too short for its rows");
  if (!reader.ok()) return tl::unexpected<Error>(reader.finish().error());

  RowIds ids;
  if (encoding == KeyEncoding::decimal) {
    read_decimals(reader, rows, key_bytes, ids.key_ends_, ids.bytes_);
  } else {
    ids.bytes_ = section;
    ids.key_ends_ = read_ends(reader, rows, key_bytes, 1, kKeyBytesMax, "section B: keys");
    ids.keys_offset_ = reader.position();
    const base::ByteSpan keys = reader.bytes(key_bytes, "section B: keys");
    if (reader.ok()) check_keys(reader, base::as_text(keys), ids.key_ends_);
  }
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
