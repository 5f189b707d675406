// Which parts of a generation hold which values: where a rare filter may match is known without
// asking the columns of every part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/filter/program.h"
#include "format/attributes.h"

namespace varve::engine {

// Parts by what is in them. It errs towards too many: values are told apart by 32 bits, strings by
// their hash. 8 bytes for each distinct value of each part. Immutable once it is sorted; threads
// may share it.
class ValueDirectory {
 public:
  static constexpr std::size_t kEveryPart = ~std::size_t{0};

  // Parts are added in ascending order.
  void add(std::uint32_t part, const format::Attributes& columns);
  // Only the texts of its rows say what they hold.
  void add_unknown(std::uint32_t part);
  // Call once, after the last.
  void sort();

  // Numbers from `low` to `high`, both among them. `of_several`: comparisons, which different
  // elements of a list may answer.
  struct Interval {
    double low = 0, high = 0;
    bool of_several = false;
  };
  // REQUIRES: term.kind is interval.
  static Interval interval_of(const FilterTerm& term);

  // Parts in which a row may match a comparison of a field (a FilterTerm or an Interval), some of
  // them more than once: how many, and each of them by use(part). kEveryPart: any may. REQUIRES of
  // the second: not kEveryPart.
  template <typename Comparison>
  std::size_t count(const Comparison& wanted, std::string_view field) const {
    if (may_be_anywhere(wanted)) return kEveryPart;
    std::size_t count = unknown_.size();
    const Field* const found = find(field);
    if (found != nullptr) {
      each_list(wanted, *found, [&](auto parts) { count += parts.size(); });
    }
    return count;
  }
  template <typename Comparison, typename Use>
  void each(const Comparison& wanted, std::string_view field, const Use& use) const {
    for (const std::uint32_t part : unknown_) use(part);
    const Field* const found = find(field);
    if (found == nullptr) return;
    each_list(wanted, *found, [&](auto parts) {
      for (const auto entry : parts) use(static_cast<std::uint32_t>(entry));
    });
  }

  // Parts are less than this.
  std::uint32_t part_end() const { return part_end_; }
  std::size_t resident_bytes() const;

 private:
  // An entry is a value in the upper half and a part in the lower.
  using Entries = std::span<const std::uint64_t>;
  struct Field {
    std::vector<std::uint64_t> numbers, others;  // ascending
    std::vector<std::uint32_t> parts;            // in which a row has the field
    // Of these, where columns do not know all values, and where a row has a list.
    std::vector<std::uint32_t> in_text, lists;
  };

  static bool may_be_anywhere(const FilterTerm& term) {
    return term.kind == TermKind::exists && term.negated;
  }
  static bool may_be_anywhere(const Interval&) { return false; }
  const Field* find(std::string_view name) const;

  // Call use(list) with lists of entries or of parts: the lower half is a part.
  template <typename Use>
  static void each_list(const FilterTerm& term, const Field& field, const Use& use);
  template <typename Use>
  static void each_list(const Interval& interval, const Field& field, const Use& use);
  template <typename Use>
  static void each_list_of_values(const FilterTerm& term, const Field& field, const Use& use);

  static Entries within(Entries entries, std::uint32_t first, std::uint32_t last);
  static std::uint32_t key_of(double number);
  static std::uint32_t key_of(std::string_view text);
  static std::uint32_t key_of(bool value) { return value ? 1 : 0; }

  std::map<std::string, Field, std::less<>> fields_;
  std::vector<std::uint32_t> unknown_;
  std::uint32_t part_end_ = 0;
};

template <typename Use>
void ValueDirectory::each_list(const FilterTerm& term, const Field& field, const Use& use) {
  const bool is_interval = term.kind == TermKind::interval;
  if (term.negated || (!is_interval && term.kind != TermKind::values)) {
    // Of a prefix and of what is there but not hit, only the field is known.
    return use(std::span(field.parts));
  }
  if (is_interval) return each_list(interval_of(term), field, use);
  each_list_of_values(term, field, use);
}

template <typename Use>
void ValueDirectory::each_list(const Interval& interval, const Field& field, const Use& use) {
  use(std::span(field.in_text));
  if (interval.of_several) use(std::span(field.lists));
  use(within(field.numbers, key_of(interval.low), key_of(interval.high)));
}

template <typename Use>
void ValueDirectory::each_list_of_values(const FilterTerm& term, const Field& field,
                                         const Use& use) {
  const auto equal = [&](Entries entries, std::uint32_t key) { use(within(entries, key, key)); };
  use(std::span(field.in_text));
  for (const double number : term.numbers) equal(field.numbers, key_of(number));
  for (const std::string& text : term.strings) {
    equal(field.others, key_of(std::string_view(text)));
  }
  if (term.hits_false) equal(field.others, key_of(false));
  if (term.hits_true) equal(field.others, key_of(true));
}

// The parts that a filter may match. Keeps its memory from query to query; one thread.
struct PartMatches {
  std::vector<std::uint32_t> parts;  // ascending

  std::vector<std::uint64_t> marks;  // a bit for each part
  std::vector<std::size_t> counts;   // of each node
};

}  // namespace varve::engine
