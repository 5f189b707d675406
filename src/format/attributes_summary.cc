#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "format/attributes.h"
#include "format/attributes_layout.h"

namespace varve::format {
namespace {

void write_field(Writer& writer, const FieldSummary& field) {
  writer.text(field.name);
  writer.u16(field.occurs);
  if ((field.occurs & kOccursNumber) != 0) {
    writer.u64(std::bit_cast<std::uint64_t>(field.number_min));
    writer.u64(std::bit_cast<std::uint64_t>(field.number_max));
  }
  if ((field.occurs & kOccursText) == 0) return;
  writer.u8(field.strings_complete ? 1 : 0);
  writer.u8(static_cast<std::uint8_t>(field.strings.size()));
  for (const std::string& text : field.strings) writer.text(text);
}

void read_strings(Reader& reader, FieldSummary& field) {
  constexpr std::string_view kField = "summary: strings";
  field.strings_complete = reader.choice(0, 1, kField) == 1;
  const bool all = field.strings_complete;
  const std::uint8_t count =
      all ? reader.choice(1, kSummaryStringsMax, kField) : reader.choice(2, 2, kField);
  std::size_t bytes = 0;
  for (unsigned i = 0; i < count && reader.ok(); ++i) {
    const std::string_view text =
        reader.text(all ? kAttributeTextBytesMax : kSummaryBoundBytes, kField);
    bytes += text.size();
    // Bounds are cut off, also within a character.
    if (all && !is_utf8(text)) reader.fail(kField, "not UTF-8");
    if (i > 0 && (all ? text <= field.strings.back() : text < field.strings.back())) {
      reader.fail(kField, "not in order");
    }
    field.strings.emplace_back(text);
  }
  if (all && bytes > kSummaryStringsBytesMax) reader.fail(kField, "too long");
}

FieldSummary read_field(Reader& reader) {
  FieldSummary field;
  field.name = reader.text(kAttributeNameBytesMax, "summary: field");
  field.occurs = reader.u16("summary: what occurs");
  if (!is_utf8(field.name)) reader.fail("summary: field", "not UTF-8");
  if ((field.occurs & ~kOccursAll) != 0 || (field.occurs & ~kOccursMissing) == 0) {
    reader.fail("summary: what occurs", "out of range");
  }
  if ((field.occurs & kOccursNumber) != 0) {
    field.number_min = std::bit_cast<double>(reader.u64("summary: least number"));
    field.number_max = std::bit_cast<double>(reader.u64("summary: greatest number"));
    if (!is_column_number(field.number_min) || !is_column_number(field.number_max) ||
        field.number_min > field.number_max) {
      reader.fail("summary: numbers", "not in order");
    }
  }
  if ((field.occurs & kOccursText) != 0) read_strings(reader, field);
  return field;
}

}  // namespace

bool is_column_number(double number) {
  return std::isfinite(number) && (number != 0 || !std::signbit(number));
}

void write_summary(Writer& writer, const AttributeSummary& summary) {
  Writer body;
  body.u16(static_cast<std::uint16_t>(summary.fields.size()));
  body.u8(summary.complete ? 1 : 0);
  body.u8(0);
  for (const FieldSummary& field : summary.fields) write_field(body, field);
  writer.u32(static_cast<std::uint32_t>(body.size()));
  writer.bytes(body.span());
}

AttributeSummary read_summary(Reader& reader) {
  AttributeSummary summary;
  const std::uint32_t bytes = reader.u32("summary: bytes");
  const std::size_t begin = reader.position();
  const std::uint16_t fields = reader.u16("summary: fields");
  summary.complete = reader.choice(0, 1, "summary: complete") == 1;
  reader.zeros(1, "summary: reserved");
  if (fields > kAttributeFieldsMax) reader.fail("summary: fields", "too many");
  for (unsigned i = 0; i < fields && reader.ok(); ++i) {
    FieldSummary field = read_field(reader);
    if (i > 0 && field.name <= summary.fields.back().name) {
      reader.fail("summary: fields", "not in order");
    }
    summary.fields.push_back(std::move(field));
  }
  if (reader.ok() && reader.position() - begin != bytes) {
    reader.fail("summary: bytes", "not as many as it has");
  }
  return summary;
}

FieldSummary summarize(std::string_view name, std::uint32_t rows, const AttributeColumn& column) {
  FieldSummary field;
  field.name = name;
  static constexpr std::uint16_t kFlags[] = {kOccursMissing,      kOccursInText,
                                             kOccursOther,        kOccursList,
                                             kOccursBooleanFalse, kOccursBooleanTrue};
  const auto note = [&](std::uint32_t code) {
    if (code < kCodeNumbers) field.occurs |= kFlags[code];
  };
  for (std::uint32_t row = 0; row < rows; ++row) note(column.code(row));
  std::uint32_t begin = 0;
  for (const std::uint32_t end : column.list_ends) {
    if (end == begin) field.occurs |= kOccursEmptyList;
    for (; begin < end; ++begin) note(column.element(begin));
  }
  if (!column.numbers.empty()) {
    field.occurs |= kOccursNumber;
    field.number_min = column.numbers.front();
    field.number_max = column.numbers.back();
  }
  const std::size_t strings = column.string_ends.size();
  if (strings == 0) return field;
  field.occurs |= kOccursText;
  field.strings_complete =
      strings <= kSummaryStringsMax && column.string_bytes.size() <= kSummaryStringsBytesMax;
  if (!field.strings_complete) {
    field.strings.emplace_back(column.string(0).substr(0, kSummaryBoundBytes));
    field.strings.emplace_back(column.string(strings - 1).substr(0, kSummaryBoundBytes));
    return field;
  }
  for (std::size_t i = 0; i < strings; ++i) field.strings.emplace_back(column.string(i));
  return field;
}

const FieldSummary* AttributeSummary::find(std::string_view name) const {
  const auto at = std::lower_bound(
      fields.begin(), fields.end(), name,
      [](const FieldSummary& field, std::string_view wanted) { return field.name < wanted; });
  return at != fields.end() && at->name == name ? &*at : nullptr;
}

base::Bytes encode_summary(const AttributeSummary& summary) {
  Writer writer;
  write_summary(writer, summary);
  return writer.take();
}

Result<AttributeSummary> decode_summary(const base::Bytes& bytes, std::string_view context) {
  if (bytes.empty()) return AttributeSummary{};
  Reader reader(bytes, context);
  AttributeSummary summary = read_summary(reader);
  if (!reader.ok()) return tl::unexpected<Error>(reader.finish().error());
  return summary;
}

}  // namespace varve::format
