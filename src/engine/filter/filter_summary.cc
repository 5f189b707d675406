#include <algorithm>

#include "engine/filter/filter.h"

namespace varve::engine {
namespace {

using format::FieldSummary;

// Whether values of a field may be hit, and whether some may not be. Both err towards true.
struct Spread {
  bool inside = false;
  bool outside = false;

  void add(bool is_inside) {
    inside = inside || is_inside;
    outside = outside || !is_inside;
  }
};

std::string_view front(std::string_view text, std::size_t bytes) { return text.substr(0, bytes); }

// Between bounds that are cut off. Cutting keeps the order, if not strictly: so what is cut may
// still be inside if the cut texts are in order.
bool may_contain(const FieldSummary& field, const std::string& text, std::size_t bytes) {
  return front(field.strings[0], bytes) <= front(text, bytes) &&
         front(text, bytes) <= front(field.strings[1], bytes);
}

void spread_strings(const FilterTerm& term, const FieldSummary& field, Spread& spread) {
  if (field.strings_complete) {
    for (const std::string& text : field.strings) spread.add(hits(term, text));
    return;
  }
  spread.outside = true;  // the strings between the bounds are not known
  for (const std::string& text : term.strings) {
    const std::size_t bytes = term.kind == TermKind::prefix
                                  ? std::min(text.size(), format::kSummaryBoundBytes)
                                  : format::kSummaryBoundBytes;
    spread.inside = spread.inside || may_contain(field, text, bytes);
  }
}

void spread_numbers(const FilterTerm& term, const FieldSummary& field, Spread& spread) {
  const double low = field.number_min;
  const double high = field.number_max;
  if (low == high) return spread.add(hits(term, low));
  if (term.kind == TermKind::interval) {
    // An interval is convex: it holds all numbers if it holds both ends.
    spread.inside = spread.inside || hits(term, low) || hits(term, high) ||
                    (low < term.high && term.low < high);
    spread.outside = spread.outside || !hits(term, low) || !hits(term, high);
    return;
  }
  const auto least = std::lower_bound(term.numbers.begin(), term.numbers.end(), low);
  spread.inside = spread.inside || (least != term.numbers.end() && *least <= high);
  // What lies between the ends is not known.
  spread.outside = true;
}

Spread spread_of(const FilterTerm& term, const FieldSummary& field) {
  Spread spread;
  if ((field.occurs & format::kOccursBooleanFalse) != 0) spread.add(term.hits_false);
  if ((field.occurs & format::kOccursBooleanTrue) != 0) spread.add(term.hits_true);
  if ((field.occurs & format::kOccursNumber) != 0) spread_numbers(term, field, spread);
  if ((field.occurs & format::kOccursText) != 0) spread_strings(term, field, spread);
  return spread;
}

Likelihood likelihood(const FilterTerm& term, const std::string& name,
                      const format::AttributeSummary& summary) {
  const FieldSummary* const field = summary.find(name);
  if (field == nullptr) {
    if (!summary.complete) return {false, true};
    const bool absent = term.kind == TermKind::exists && term.negated;
    return {absent, absent};
  }
  const auto has = [&](unsigned flags) { return (field->occurs & flags) != 0; };
  if (term.kind == TermKind::exists) {
    return term.negated ? Likelihood{false, has(format::kOccursMissing)}
                        : Likelihood{!has(format::kOccursMissing), true};
  }
  const Spread spread = spread_of(term, *field);
  const bool hidden = has(format::kOccursInText);
  const bool may_miss = spread.outside || has(format::kOccursOther | format::kOccursEmptyList);
  if (term.negated) {
    return {!has(format::kOccursMissing) && !hidden && !spread.inside, hidden || may_miss};
  }
  return {!has(format::kOccursMissing) && !hidden && !may_miss, hidden || spread.inside};
}

Likelihood likelihood(std::span<const FilterNode> nodes, std::span<const FilterTerm> terms,
                      std::span<const FilterField> fields,
                      const format::AttributeSummary& summary) {
  if (nodes.empty()) return {true, true};
  std::uint32_t at = 0;
  return fold<Likelihood>(nodes, at, [&](std::uint32_t t) {
    return likelihood(terms[t], fields[terms[t].field].name, summary);
  });
}

}  // namespace

bool Filter::may_match(const format::AttributeSummary& summary) const {
  return likelihood(nodes_, terms_, fields_, summary).possible;
}

bool Filter::matches_all(const format::AttributeSummary& summary) const {
  return likelihood(nodes_, terms_, fields_, summary).certain;
}

}  // namespace varve::engine
