#include "format/attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "format/attributes_layout.h"

namespace varve::format {
namespace {

// Columns begin on it, so that their numbers can be used where they lie.
constexpr std::size_t kColumnAlign = 8;
constexpr std::size_t kCodeAlign = 4;

unsigned code_bytes_for(std::size_t code_count) {
  if (code_count <= 0x100) return 1;
  return code_count <= 0x10000 ? 2 : 4;
}

void write_codes(Writer& writer, std::span<const std::uint32_t> codes, unsigned code_bytes) {
  writer.align(kCodeAlign);
  for (const std::uint32_t code : codes) {
    std::memcpy(writer.extend(code_bytes), &code, code_bytes);  // little-endian
  }
}

void write_column(Writer& writer, const ColumnValues& column) {
  std::size_t string_bytes = 0;
  for (const std::string& text : column.strings) string_bytes += text.size();
  const unsigned code_bytes =
      code_bytes_for(kCodeNumbers + column.numbers.size() + column.strings.size());
  VARVE_ASSERT(string_bytes <= 0xFFFFFFFFU);
  writer.u32(static_cast<std::uint32_t>(column.numbers.size()));
  writer.u32(static_cast<std::uint32_t>(column.strings.size()));
  writer.u32(static_cast<std::uint32_t>(string_bytes));
  writer.u32(static_cast<std::uint32_t>(column.list_rows.size()));
  writer.u32(static_cast<std::uint32_t>(column.elements.size()));
  writer.u8(static_cast<std::uint8_t>(code_bytes));
  writer.zeros(3);
  for (const double number : column.numbers) writer.u64(std::bit_cast<std::uint64_t>(number));
  std::uint32_t end = 0;
  for (const std::string& text : column.strings) {
    writer.u32(end += static_cast<std::uint32_t>(text.size()));
  }
  for (const std::uint32_t row : column.list_rows) writer.u32(row);
  for (const std::uint32_t list_end : column.list_ends) writer.u32(list_end);
  write_codes(writer, column.codes, code_bytes);
  write_codes(writer, column.elements, code_bytes);
  for (const std::string& text : column.strings) writer.bytes(base::as_bytes(text));
  writer.align(kColumnAlign);
}

// REQUIRES: the bytes lie on a multiple of alignof(T).
template <typename T>
std::span<const T> array(Reader& reader, std::size_t count, std::string_view field) {
  const base::ByteSpan raw = reader.bytes(count * sizeof(T), field);
  return {reinterpret_cast<const T*>(raw.data()), raw.size() / sizeof(T)};
}

void read_padding(Reader& reader, std::size_t multiple) {
  reader.zeros(align_up(reader.position(), multiple) - reader.position(), "section E: padding");
}

AttributeColumn read_column(Reader& reader, std::uint32_t rows) {
  AttributeColumn column;
  const std::size_t numbers = reader.u32("section E: numbers");
  const std::size_t strings = reader.u32("section E: strings");
  const std::size_t string_bytes = reader.u32("section E: string bytes");
  const std::size_t lists = reader.u32("section E: lists");
  const std::size_t elements = reader.u32("section E: list elements");
  column.code_bytes = reader.u8("section E: bytes of a code");
  reader.zeros(3, "section E: reserved");
  if (column.code_bytes != code_bytes_for(kCodeNumbers + numbers + strings)) {
    reader.fail("section E: bytes of a code", "not what its values need");
  }
  column.numbers = array<double>(reader, numbers, "section E: numbers");
  column.string_ends = array<std::uint32_t>(reader, strings, "section E: strings");
  column.list_rows = array<std::uint32_t>(reader, lists, "section E: lists");
  column.list_ends = array<std::uint32_t>(reader, lists, "section E: lists");
  read_padding(reader, kCodeAlign);
  column.codes = reader.bytes(std::size_t{rows} * column.code_bytes, "section E: codes").data();
  read_padding(reader, kCodeAlign);
  column.elements = reader.bytes(elements * column.code_bytes, "section E: list elements").data();
  column.string_bytes = base::as_text(reader.bytes(string_bytes, "section E: strings"));
  read_padding(reader, kColumnAlign);
  if (reader.ok() && elements != (lists == 0 ? 0 : column.list_ends.back())) {
    reader.fail("section E: list elements", "not as many as the lists have");
  }
  return column;
}

void check_dictionary(Reader& reader, const AttributeColumn& column) {
  for (std::size_t i = 0; i < column.numbers.size() && reader.ok(); ++i) {
    if (!is_column_number(column.numbers[i]) ||
        (i > 0 && column.numbers[i] <= column.numbers[i - 1])) {
      reader.fail("section E: numbers", "not in order");
    }
  }
  std::uint32_t begin = 0;
  std::string_view previous;
  for (std::size_t i = 0; i < column.string_ends.size() && reader.ok(); ++i) {
    const std::uint32_t end = column.string_ends[i];
    if (end < begin || end > column.string_bytes.size() || end - begin > kAttributeTextBytesMax) {
      reader.fail("section E: strings", "length is out of range");
      return;
    }
    const std::string_view text = column.string_bytes.substr(begin, end - begin);
    if (!is_utf8(text)) reader.fail("section E: strings", "not UTF-8");
    if (i > 0 && text <= previous) reader.fail("section E: strings", "not in order");
    previous = text;
    begin = end;
  }
  if (begin != column.string_bytes.size()) {
    reader.fail("section E: strings", "lengths do not add up to the whole");
  }
}

void check_lists(Reader& reader, const AttributeColumn& column) {
  if (!std::is_sorted(column.list_ends.begin(), column.list_ends.end())) {
    reader.fail("section E: lists", "not in order");
  }
}

// Every code is known, rows with lists are those that are listed, and every value of the dictionary
// is in use.
template <typename Code>
void check_codes(Reader& reader, std::uint32_t rows, const AttributeColumn& column) {
  const auto* codes = reinterpret_cast<const Code*>(column.codes);
  const auto* elements = reinterpret_cast<const Code*>(column.elements);
  std::vector<std::uint8_t> used(column.code_count());
  std::size_t lists = 0;
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (codes[row] >= used.size()) return reader.fail("section E: codes", "out of range");
    used[codes[row]] = 1;
    lists += codes[row] == kCodeList ? 1 : 0;
  }
  std::uint32_t next = 0;
  for (const std::uint32_t row : column.list_rows) {
    if (row < next || row >= rows || codes[row] != kCodeList) {
      return reader.fail("section E: lists", "not those of the codes");
    }
    next = row + 1;
  }
  if (lists != column.list_rows.size()) reader.fail("section E: lists", "not those of the codes");
  const std::size_t element_count = column.list_ends.empty() ? 0 : column.list_ends.back();
  for (std::size_t i = 0; i < element_count; ++i) {
    if (elements[i] >= used.size() || elements[i] == kCodeMissing || elements[i] == kCodeList) {
      return reader.fail("section E: list elements", "out of range");
    }
    used[elements[i]] = 1;
  }
  if (std::find(used.begin() + kCodeNumbers, used.end(), 0) != used.end()) {
    reader.fail("section E: codes", "a value is in no row");
  }
}

void check_codes(Reader& reader, std::uint32_t rows, const AttributeColumn& column) {
  switch (column.code_bytes) {
    case 1:
      return check_codes<std::uint8_t>(reader, rows, column);
    case 2:
      return check_codes<std::uint16_t>(reader, rows, column);
    default:
      return check_codes<std::uint32_t>(reader, rows, column);
  }
}

void check_column(Reader& reader, std::uint32_t rows, const AttributeColumn& column,
                  const FieldSummary& summary) {
  if (reader.ok()) check_dictionary(reader, column);
  if (reader.ok()) check_lists(reader, column);
  if (reader.ok()) check_codes(reader, rows, column);
  if (reader.ok() && summarize(summary.name, rows, column) != summary) {
    reader.fail(fmt::format("section E: summary of \"{}\"", summary.name),
                "not that of its column");
  }
}

}  // namespace

std::string_view AttributeColumn::string(std::size_t i) const {
  const std::size_t begin = i == 0 ? 0 : string_ends[i - 1];
  return string_bytes.substr(begin, string_ends[i] - begin);
}

base::Bytes encode_attributes(std::span<const ColumnValues> columns, bool complete) {
  if (columns.empty() && complete) return {};
  VARVE_ASSERT(columns.size() <= kAttributeFieldsMax);
  AttributeSummary summary{complete, {}};
  Writer body;
  for (const ColumnValues& column : columns) {
    const std::size_t begin = body.size();
    const auto rows = static_cast<std::uint32_t>(column.codes.size());
    write_column(body, column);
    Reader reader(std::as_const(body).span().subspan(begin), "section E");
    summary.fields.push_back(summarize(column.name, rows, read_column(reader, rows)));
    VARVE_ASSERT(reader.ok());
  }
  Writer writer;
  write_summary(writer, summary);
  writer.align(kColumnAlign);
  writer.bytes(std::as_const(body).span());
  return writer.take();
}

Result<Attributes> Attributes::decode(const base::Bytes& section, std::uint32_t rows,
                                      std::string_view context) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(section.data()) % kColumnAlign == 0;
  base::Bytes bytes = aligned ? section : base::Bytes::copy_of(section);
  VARVE_TRY(Attributes attributes, borrow(bytes, rows, context));
  attributes.bytes_ = std::move(bytes);
  return attributes;
}

Result<Attributes> Attributes::borrow(base::ByteSpan section, std::uint32_t rows,
                                      std::string_view context) {
  Attributes attributes;
  attributes.rows_ = rows;
  if (section.empty()) return attributes;
  Reader reader(section, context);
  attributes.summary_ = read_summary(reader);
  read_padding(reader, kColumnAlign);
  const AttributeSummary& summary = attributes.summary_;
  if (reader.ok() && summary.complete && summary.fields.empty()) {
    reader.fail("section E", "says nothing");
  }
  for (const FieldSummary& field : summary.fields) {
    if (!reader.ok()) break;
    const AttributeColumn column = read_column(reader, rows);
    check_column(reader, rows, column, field);
    attributes.columns_.push_back(column);
  }
  VARVE_CHECK(reader.finish());
  return attributes;
}

const AttributeColumn* Attributes::find(std::string_view name) const {
  const FieldSummary* const field = summary_.find(name);
  return field == nullptr ? nullptr : &column_of(*field);
}

ColumnValues Attributes::values(std::size_t i) const {
  const AttributeColumn& column = columns_[i];
  ColumnValues values;
  values.name = summary_.fields[i].name;
  values.numbers.assign(column.numbers.begin(), column.numbers.end());
  for (std::size_t s = 0; s < column.string_ends.size(); ++s) {
    values.strings.emplace_back(column.string(s));
  }
  for (std::uint32_t row = 0; row < rows_; ++row) values.codes.push_back(column.code(row));
  values.list_rows.assign(column.list_rows.begin(), column.list_rows.end());
  values.list_ends.assign(column.list_ends.begin(), column.list_ends.end());
  const std::uint32_t elements = values.list_ends.empty() ? 0 : values.list_ends.back();
  for (std::uint32_t e = 0; e < elements; ++e) values.elements.push_back(column.element(e));
  return values;
}

std::size_t Attributes::resident_bytes() const {
  std::size_t bytes = bytes_.size() + columns_.size() * sizeof(AttributeColumn) +
                      summary_.fields.size() * sizeof(FieldSummary);
  for (const FieldSummary& field : summary_.fields) {
    bytes += field.strings.size() * (sizeof(std::string) + kSummaryBoundBytes);
  }
  return bytes;
}

}  // namespace varve::format
