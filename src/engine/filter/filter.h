// Filters on metadata: the grammar of Amazon S3 Vectors, parsed once and then asked of texts, of
// columns and of summaries. docs/filters.md is the meaning; all three give the same answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/filter/program.h"
#include "engine/filter/value_directory.h"
#include "format/attributes.h"

namespace varve::engine {

inline constexpr std::size_t kFilterBytesMax = std::size_t{64} * 1024;
inline constexpr std::size_t kFilterDepthMax = 16;   // of $and and $or in each other
inline constexpr std::size_t kFilterTermsMax = 100;  // comparisons, as on an ENHANCED index
inline constexpr std::size_t kFilterValuesMax = 10'000;

// Which rows of a part match, as bitmaps: row r is bit r % 64 of word r / 64. Bits beyond the rows
// are zero. Keeps its memory from call to call. Not thread-safe.
struct RowMatches {
  std::vector<std::uint64_t> matches;
  std::vector<std::uint64_t> unsure;  // only the text can tell; apart from `matches`

  FilterScratch scratch;
};

// Immutable; threads may share it.
class Filter {
 public:
  // Matches everything.
  Filter() = default;
  // `invalid`: names the field and the operator, or the limit.
  static Result<Filter> parse(std::string_view json);

  bool matches_everything() const { return nodes_.empty(); }
  // Of one row, by its metadata. Allocates nothing once the thread has met its largest text.
  bool matches(std::string_view metadata) const;
  // Of all rows of a part, by section E.
  void evaluate(const format::Attributes& columns, RowMatches& rows) const;
  // False: no row of the part matches, it can be skipped.
  bool may_match(const format::AttributeSummary& summary) const;
  // True: each row of the part matches, none has to be looked at.
  bool matches_all(const format::AttributeSummary& summary) const;
  // Of all parts of a generation, fills in those in which a row may match. False: more than
  // `count_max`, counted with repetitions, or any may.
  bool find_parts(const ValueDirectory& directory, std::size_t count_max, PartMatches& out) const;

 private:
  friend class FilterParser;

  std::vector<FilterNode> nodes_;    // empty: matches everything
  std::vector<FilterTerm> terms_;    // those of one field side by side
  std::vector<FilterField> fields_;  // each name once
  std::size_t depth_ = 0;            // nodes above the deepest term, itself included
};

}  // namespace varve::engine
