#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "engine/filter/code_ranges.h"
#include "engine/filter/filter.h"

namespace varve::engine {
namespace {

using format::AttributeColumn;

constexpr std::size_t kBlockRows = 64;  // bits of a word
// More are looked up in a table of codes.
constexpr std::size_t kRangesCompared = 4;

// In a table of codes.
constexpr std::uint8_t kHit = 1;
constexpr std::uint8_t kHidden = 2;

using Flags = std::array<std::uint8_t, kBlockRows>;  // 0 or 1 for each row

std::uint64_t pack(const Flags& flags) {
  std::uint64_t word = 0;
  for (std::size_t byte = 0; byte < 8; ++byte) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, flags.data() + 8 * byte, 8);
    // Moves bit 0 of byte i to bit i of the upper byte; no two terms of the product meet.
    word |= ((eight * 0x0102040810204080U) >> 56) << (8 * byte);
  }
  return word;
}

// The rows whose code is in [first, end).
template <typename Code>
void add_range(const Code* codes, CodeRange range, Flags& flags) {
  const auto first = static_cast<Code>(range.first);
  const auto last = static_cast<Code>(range.end - range.first - 1);
  for (std::size_t i = 0; i < kBlockRows; ++i) {
    flags[i] |= static_cast<Code>(codes[i] - first) <= last ? 1 : 0;
  }
}

template <typename Code>
void look_up(const Code* codes, const std::uint8_t* table, Flags& flags) {
  for (std::size_t i = 0; i < kBlockRows; ++i) flags[i] = table[codes[i]];
}

// Calls block(word, codes) for each 64 rows; behind the last row the codes are kCodeMissing.
template <typename Code, typename F>
void for_each_block(const AttributeColumn& column, std::size_t rows, const F& block) {
  const auto* codes = reinterpret_cast<const Code*>(column.codes);
  std::size_t word = 0;
  for (; (word + 1) * kBlockRows <= rows; ++word) block(word, codes + word * kBlockRows);
  if (rows % kBlockRows == 0) return;
  std::array<Code, kBlockRows> rest{};
  std::copy(codes + word * kBlockRows, codes + rows, rest.begin());
  block(word, rest.data());
}

// The rows with codes in any of the ranges.
template <typename Code>
void mark_codes(const AttributeColumn& column, std::size_t rows, const FilterScratch& scratch,
                std::span<const CodeRange> ranges, std::uint64_t* out) {
  for_each_block<Code>(column, rows, [&](std::size_t word, const Code* codes) {
    Flags flags{};
    if (ranges.size() > kRangesCompared) {
      look_up(codes, scratch.table.data(), flags);
    } else {
      for (const CodeRange range : ranges) add_range(codes, range, flags);
    }
    out[word] = pack(flags);
  });
}

// One byte for each code of the column.
void fill_table(const AttributeColumn& column, std::span<const CodeRange> ranges,
                std::vector<std::uint8_t>& table) {
  table.assign(column.code_count(), 0);
  for (const CodeRange range : ranges) {
    std::fill(table.begin() + range.first, table.begin() + range.end, kHit);
  }
}

void mark_codes(const AttributeColumn& column, std::size_t rows, FilterScratch& scratch,
                std::span<const CodeRange> ranges, std::uint64_t* out) {
  if (ranges.size() > kRangesCompared) fill_table(column, ranges, scratch.table);
  switch (column.code_bytes) {
    case 1:
      return mark_codes<std::uint8_t>(column, rows, scratch, ranges, out);
    case 2:
      return mark_codes<std::uint16_t>(column, rows, scratch, ranges, out);
    default:
      return mark_codes<std::uint32_t>(column, rows, scratch, ranges, out);
  }
}

void set_bit(std::uint64_t* bitmap, std::uint32_t row, bool value) {
  std::uint64_t& word = bitmap[row / kBlockRows];
  const std::uint64_t bit = std::uint64_t{1} << (row % kBlockRows);
  word = value ? word | bit : word & ~bit;
}

// A list is hit if one of its elements is.
template <typename Code>
void mark_lists(const AttributeColumn& column, const std::uint8_t* table, bool negated,
                std::uint64_t* yes, std::uint64_t* maybe) {
  const auto* codes = reinterpret_cast<const Code*>(column.elements);
  std::uint32_t i = 0;
  for (std::size_t list = 0; list < column.list_rows.size(); ++list) {
    unsigned seen = 0;
    for (; i < column.list_ends[list]; ++i) seen |= table[codes[i]];
    const bool hit = (seen & kHit) != 0;
    const bool hidden = (seen & kHidden) != 0;
    const std::uint32_t row = column.list_rows[list];
    set_bit(yes, row, negated ? !hit && !hidden : hit);
    set_bit(maybe, row, negated ? !hit : hit || hidden);
  }
}

// Folds the tree over bitmaps. Each level has two: the rows that match for certain, and those that
// may.
class ColumnFold {
 public:
  ColumnFold(std::span<const FilterNode> nodes, std::span<const FilterTerm> terms,
             std::span<const FilterField> fields, const format::Attributes& columns,
             FilterScratch& scratch)
      : nodes_(nodes),
        terms_(terms),
        fields_(fields),
        columns_(columns),
        scratch_(scratch),
        words_((columns.rows() + kBlockRows - 1) / kBlockRows) {}

  std::size_t words() const { return words_; }
  std::uint64_t* certain(std::size_t level) { return &scratch_.levels[2 * level * words_]; }
  std::uint64_t* possible(std::size_t level) { return certain(level) + words_; }

  void node(std::uint32_t& at, std::size_t level) {
    const FilterNode& node = nodes_[at++];
    if (node.kind == NodeKind::term) return term(terms_[node.term], level);
    this->node(at, level);
    while (at < node.end) {
      if (node.kind == NodeKind::all && none(possible(level))) {
        at = node.end;
        return;
      }
      this->node(at, level + 1);
      std::uint64_t* const into = certain(level);
      const std::uint64_t* const from = certain(level + 1);
      for (std::size_t w = 0; w < 2 * words_; ++w) {  // both bitmaps
        into[w] = node.kind == NodeKind::all ? into[w] & from[w] : into[w] | from[w];
      }
    }
  }

 private:
  bool none(const std::uint64_t* bitmap) const {
    return std::all_of(bitmap, bitmap + words_, [](std::uint64_t word) { return word == 0; });
  }
  void fill(std::uint64_t* bitmap, bool value) {
    std::fill(bitmap, bitmap + words_, value ? ~std::uint64_t{0} : 0);
    trim(bitmap);
  }
  void trim(std::uint64_t* bitmap) {
    const std::size_t rest = columns_.rows() % kBlockRows;
    if (rest > 0) bitmap[words_ - 1] &= (std::uint64_t{1} << rest) - 1;
  }

  void term(const FilterTerm& term, std::size_t level) {
    const format::FieldSummary* const field = columns_.summary().find(fields_[term.field].name);
    if (field == nullptr) {
      const bool absent = term.kind == TermKind::exists && term.negated;
      const bool known = columns_.summary().complete;
      fill(certain(level), known && absent);
      fill(possible(level), !known || absent);
      return;
    }
    const AttributeColumn& column = columns_.column_of(*field);
    if (term.kind == TermKind::exists) {
      exists(term, column, level);
    } else {
      compare(term, column, field->occurs, level);
    }
  }

  void mark(const AttributeColumn& column, CodeRange range, std::uint64_t* out) {
    mark_codes(column, columns_.rows(), scratch_, {&range, 1}, out);
  }

  void exists(const FilterTerm& term, const AttributeColumn& column, std::size_t level) {
    mark(column, {format::kCodeMissing, format::kCodeMissing + 1}, certain(level));
    trim(certain(level));
    if (!term.negated) {
      for (std::size_t w = 0; w < words_; ++w) certain(level)[w] = ~certain(level)[w];
      trim(certain(level));
    }
    std::copy(certain(level), certain(level) + words_, possible(level));
  }

  void compare(const FilterTerm& term, const AttributeColumn& column, std::uint16_t occurs,
               std::size_t level) {
    std::vector<CodeRange>& ranges = scratch_.ranges;
    hit_codes(term, column, ranges);
    std::uint64_t* const yes = certain(level);
    std::uint64_t* const maybe = possible(level);
    if (ranges.empty()) {
      fill(yes, false);
    } else {
      mark_codes(column, columns_.rows(), scratch_, ranges, yes);
    }
    if (term.negated) {
      // There, its value known and no list, and not hit.
      mark(column, {format::kCodeOther, static_cast<std::uint32_t>(column.code_count())}, maybe);
      for (std::size_t w = 0; w < words_; ++w) yes[w] = maybe[w] & ~yes[w];
    }
    if ((occurs & format::kOccursInText) != 0) {
      mark(column, {format::kCodeInText, format::kCodeInText + 1}, maybe);
      for (std::size_t w = 0; w < words_; ++w) maybe[w] |= yes[w];
    } else {
      std::copy(yes, yes + words_, maybe);
    }
    lists(term, column, yes, maybe);
  }

  void lists(const FilterTerm& term, const AttributeColumn& column, std::uint64_t* yes,
             std::uint64_t* maybe) {
    if (column.list_rows.empty()) return;
    fill_table(column, scratch_.ranges, scratch_.table);
    scratch_.table[format::kCodeInText] = kHidden;
    const std::uint8_t* const table = scratch_.table.data();
    switch (column.code_bytes) {
      case 1:
        return mark_lists<std::uint8_t>(column, table, term.negated, yes, maybe);
      case 2:
        return mark_lists<std::uint16_t>(column, table, term.negated, yes, maybe);
      default:
        return mark_lists<std::uint32_t>(column, table, term.negated, yes, maybe);
    }
  }

  std::span<const FilterNode> nodes_;
  std::span<const FilterTerm> terms_;
  std::span<const FilterField> fields_;
  const format::Attributes& columns_;
  FilterScratch& scratch_;
  std::size_t words_ = 0;
};

}  // namespace

void Filter::evaluate(const format::Attributes& columns, RowMatches& rows) const {
  ColumnFold fold(nodes_, terms_, fields_, columns, rows.scratch);
  const std::size_t words = fold.words();
  rows.matches.assign(words, 0);
  rows.unsure.assign(words, 0);
  if (words == 0) return;
  if (nodes_.empty()) {
    std::fill(rows.matches.begin(), rows.matches.end(), ~std::uint64_t{0});
    const std::size_t rest = columns.rows() % kBlockRows;
    if (rest > 0) rows.matches.back() = (std::uint64_t{1} << rest) - 1;
    return;
  }
  rows.scratch.levels.resize(2 * depth_ * words);
  std::uint32_t at = 0;
  fold.node(at, 0);
  VARVE_ASSERT(at == nodes_.size());
  for (std::size_t w = 0; w < words; ++w) {
    rows.matches[w] = fold.certain(0)[w];
    rows.unsure[w] = fold.possible(0)[w] & ~fold.certain(0)[w];
  }
}

}  // namespace varve::engine
