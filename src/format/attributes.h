// Section E: what filters ask for, of all rows of a part, as one column for each field, and a
// summary that says for the part as a whole what can match.
//
// A column holds one code for each row. Codes of values are places in the dictionary of the field:
// false, true, its numbers ascending, its strings ascending. So equality, order and prefix are
// ranges of codes, and no row has to be decoded. docs/formats/attributes.md has the bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace varve::format {

// What goes beyond these limits stays in the text of the metadata; columns say where.
inline constexpr std::size_t kAttributeFieldsMax = 128;
inline constexpr std::size_t kAttributeNameBytesMax = 255;
inline constexpr std::size_t kAttributeTextBytesMax = 256;
// Of the columns of a part, those apart that only say where to look.
constexpr std::size_t attribute_bytes_max(std::size_t rows) { return 4096 + 256 * rows; }
// Of the distinct strings in a summary; if there are more, it has bounds.
inline constexpr std::size_t kSummaryStringsMax = 16;
inline constexpr std::size_t kSummaryStringsBytesMax = 256;
inline constexpr std::size_t kSummaryBoundBytes = 16;

// Codes below kCodeNumbers have the same meaning in all columns; then come the numbers, then the
// strings.
inline constexpr std::uint32_t kCodeMissing = 0;  // no such field, or null
inline constexpr std::uint32_t kCodeInText = 1;   // there, but only the text says what it is
inline constexpr std::uint32_t kCodeOther = 2;    // there, and equal to no value of a filter
inline constexpr std::uint32_t kCodeList = 3;     // see `list_rows`
inline constexpr std::uint32_t kCodeFalse = 4;
inline constexpr std::uint32_t kCodeTrue = 5;
inline constexpr std::uint32_t kCodeNumbers = 6;

// What occurs in a column; of lists also what occurs in them.
inline constexpr std::uint16_t kOccursMissing = 1;
inline constexpr std::uint16_t kOccursInText = 2;
inline constexpr std::uint16_t kOccursOther = 4;
inline constexpr std::uint16_t kOccursList = 8;
inline constexpr std::uint16_t kOccursEmptyList = 16;
inline constexpr std::uint16_t kOccursBooleanFalse = 32;
inline constexpr std::uint16_t kOccursBooleanTrue = 64;
inline constexpr std::uint16_t kOccursNumber = 128;
inline constexpr std::uint16_t kOccursText = 256;
inline constexpr std::uint16_t kOccursAll = 511;

struct FieldSummary {
  std::string name;
  std::uint16_t occurs = 0;
  double number_min = 0, number_max = 0;  // if there are numbers
  // If there are strings: all of them, ascending; or the first kSummaryBoundBytes bytes of the
  // least and of the greatest.
  bool strings_complete = false;
  std::vector<std::string> strings;

  bool operator==(const FieldSummary&) const = default;
};

struct AttributeSummary {
  // A field that is not listed is in no row. Else it may be in any.
  bool complete = true;
  std::vector<FieldSummary> fields;  // by name

  const FieldSummary* find(std::string_view name) const;
  bool operator==(const AttributeSummary&) const = default;
};
// On its own, as it stands at the front of a section. The decoder takes either.
base::Bytes encode_summary(const AttributeSummary& summary);
Result<AttributeSummary> decode_summary(const base::Bytes& bytes, std::string_view context);

// One field of a part. Borrows from its Attributes.
struct AttributeColumn {
  std::uint32_t code(std::size_t row) const { return at(codes, row); }
  std::uint32_t element(std::size_t i) const { return at(elements, i); }
  std::string_view string(std::size_t i) const;
  std::uint32_t code_of_string(std::size_t i) const {
    return kCodeNumbers + static_cast<std::uint32_t>(numbers.size() + i);
  }
  std::size_t code_count() const { return kCodeNumbers + numbers.size() + string_ends.size(); }

  std::span<const double> numbers;             // ascending
  std::span<const std::uint32_t> string_ends;  // of ascending strings
  std::string_view string_bytes;
  // Rows with code kCodeList, ascending, and where the elements of each end.
  std::span<const std::uint32_t> list_rows, list_ends;
  unsigned code_bytes = 1;  // 1, 2 or 4
  const std::byte* codes = nullptr;
  const std::byte* elements = nullptr;  // kCodeInText, kCodeOther, kCodeFalse and above

 private:
  std::uint32_t at(const std::byte* array, std::size_t i) const {
    std::uint32_t code = 0;
    if (code_bytes == 1) return std::to_integer<std::uint32_t>(array[i]);
    std::memcpy(&code, array + i * code_bytes, code_bytes == 2 ? 2 : 4);
    return code;
  }
};

// A column before it is encoded. Every number and string is in use by a row.
struct ColumnValues {
  std::string name;
  std::vector<double> numbers;       // ascending, no -0
  std::vector<std::string> strings;  // ascending
  std::vector<std::uint32_t> codes;  // of each row
  std::vector<std::uint32_t> list_rows, list_ends, elements;
};
// Section E, decoded: views of the bytes. Of an empty section: no row has a field.
class Attributes {
 public:
  static Result<Attributes> decode(const base::Bytes& section, std::uint32_t rows,
                                   std::string_view context);
  // The same of bytes that outlive it. REQUIRES: they lie on a multiple of 8.
  static Result<Attributes> borrow(base::ByteSpan section, std::uint32_t rows,
                                   std::string_view context);

  std::uint32_t rows() const { return rows_; }
  const AttributeSummary& summary() const { return summary_; }
  // In the order of summary().fields.
  std::span<const AttributeColumn> columns() const { return columns_; }
  // REQUIRES: `field` is one of summary().fields.
  const AttributeColumn& column_of(const FieldSummary& field) const {
    return columns_[static_cast<std::size_t>(&field - summary_.fields.data())];
  }
  // Null if no row has the field, or if summary() is not complete.
  const AttributeColumn* find(std::string_view name) const;
  // A copy of column i of columns(), as it was before it was encoded.
  ColumnValues values(std::size_t i) const;
  // Borrowed bytes not included.
  std::size_t resident_bytes() const;

 private:
  base::Bytes bytes_;  // empty if borrowed
  std::uint32_t rows_ = 0;
  AttributeSummary summary_;
  std::vector<AttributeColumn> columns_;
};

// REQUIRES: columns by name, each within the limits above; rows >= 1.
base::Bytes encode_attributes(std::span<const ColumnValues> columns, bool complete);

// From the metadata of each row of a part, within the limits above. `complete` is false if there
// are fields besides the columns.
struct AttributeDraft {
  bool complete = true;
  std::vector<ColumnValues> columns;
};
AttributeDraft draft_attributes(std::span<const std::string_view> metadata);
// Both steps: section E before compression; empty if no row has a field.
base::Bytes encode_row_attributes(std::span<const std::string_view> metadata);

}  // namespace varve::format
