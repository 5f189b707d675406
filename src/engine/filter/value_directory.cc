#include "engine/filter/value_directory.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/filter/filter.h"

namespace varve::engine {
namespace {

// Of a node of the map beside what it holds.
constexpr std::size_t kMapEntryBytes = 48;

std::uint64_t entry(std::uint32_t key, std::uint32_t part) {
  return std::uint64_t{key} << 32 | part;
}

std::size_t plus(std::size_t a, std::size_t b) {
  return a > ValueDirectory::kEveryPart - b ? ValueDirectory::kEveryPart : a + b;
}

}  // namespace

// The upper half of what sorts like the numbers: those that it does not tell apart are neighbours.
std::uint32_t ValueDirectory::key_of(double number) {
  const auto bits = std::bit_cast<std::uint64_t>(number + 0.0);  // 0 for -0
  const bool is_negative = bits >> 63 != 0;
  return static_cast<std::uint32_t>((is_negative ? ~bits : bits | std::uint64_t{1} << 63) >> 32);
}

std::uint32_t ValueDirectory::key_of(std::string_view text) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>{}(text));
}

ValueDirectory::Interval ValueDirectory::interval_of(const FilterTerm& term) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return {term.low_open ? std::nextafter(term.low, kInfinity) : term.low,
          term.high_open ? std::nextafter(term.high, -kInfinity) : term.high, false};
}

void ValueDirectory::add(std::uint32_t part, const format::Attributes& columns) {
  if (!columns.summary().complete) unknown_.push_back(part);
  for (std::size_t i = 0; i < columns.columns().size(); ++i) {
    const format::FieldSummary& summary = columns.summary().fields[i];
    const format::AttributeColumn& column = columns.columns()[i];
    Field& field = fields_[summary.name];
    const auto has = [&](unsigned flag) { return (summary.occurs & flag) != 0; };
    field.parts.push_back(part);
    if (has(format::kOccursInText)) field.in_text.push_back(part);
    if (has(format::kOccursList)) field.lists.push_back(part);
    if (has(format::kOccursBooleanFalse)) field.others.push_back(entry(key_of(false), part));
    if (has(format::kOccursBooleanTrue)) field.others.push_back(entry(key_of(true), part));
    for (const double number : column.numbers) {
      field.numbers.push_back(entry(key_of(number), part));
    }
    for (std::size_t s = 0; s < column.string_ends.size(); ++s) {
      field.others.push_back(entry(key_of(column.string(s)), part));
    }
  }
  part_end_ = part + 1;
}

void ValueDirectory::add_unknown(std::uint32_t part) {
  unknown_.push_back(part);
  part_end_ = part + 1;
}

void ValueDirectory::sort() {
  const auto tidy = [](std::vector<std::uint64_t>& entries) {
    std::sort(entries.begin(), entries.end());
    entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
    entries.shrink_to_fit();
  };
  for (auto& [name, field] : fields_) {
    tidy(field.numbers);
    tidy(field.others);
    field.parts.shrink_to_fit();
    field.in_text.shrink_to_fit();
    field.lists.shrink_to_fit();
  }
  unknown_.shrink_to_fit();
}

const ValueDirectory::Field* ValueDirectory::find(std::string_view name) const {
  const auto at = fields_.find(name);
  return at == fields_.end() ? nullptr : &at->second;
}

ValueDirectory::Entries ValueDirectory::within(Entries entries, std::uint32_t first,
                                               std::uint32_t last) {
  if (first > last) return {};
  const auto begin = std::lower_bound(entries.begin(), entries.end(), entry(first, 0));
  const auto end = std::upper_bound(begin, entries.end(), entry(last, ~std::uint32_t{0}));
  return {begin, end};
}

std::size_t ValueDirectory::resident_bytes() const {
  std::size_t bytes = unknown_.capacity() * sizeof(std::uint32_t);
  for (const auto& [name, field] : fields_) {
    bytes += kMapEntryBytes + name.capacity() + sizeof(Field);
    bytes += (field.numbers.capacity() + field.others.capacity()) * sizeof(std::uint64_t);
    bytes += (field.parts.capacity() + field.in_text.capacity() + field.lists.capacity()) *
             sizeof(std::uint32_t);
  }
  return bytes;
}

namespace {

// Folds the tree over parts. Of several that all have to be true, the one that fewest parts may
// match stands for all.
class PartFold {
 public:
  PartFold(std::span<const FilterNode> nodes, std::span<const FilterTerm> terms,
           std::span<const FilterField> fields, const ValueDirectory& directory, PartMatches& out)
      : nodes_(nodes), terms_(terms), fields_(fields), directory_(directory), out_(out) {}

  // Of the whole filter.
  std::size_t count() {
    out_.counts.resize(nodes_.size());
    // Children stand behind their parents.
    for (auto node = static_cast<std::uint32_t>(nodes_.size()); node-- > 0;) {
      out_.counts[node] = count_of(node);
    }
    return out_.counts[0];
  }

  // REQUIRES: count() is not kEveryPart.
  void mark() { mark(0); }

 private:
  // Calls use(child) with each.
  template <typename Use>
  void each_child(std::uint32_t node, const Use& use) const {
    for (std::uint32_t child = node + 1; child < nodes_[node].end; child = nodes_[child].end) {
      use(child);
    }
  }
  const FilterTerm& term_of(std::uint32_t node) const { return terms_[nodes_[node].term]; }
  std::string_view name_of(const FilterTerm& term) const { return fields_[term.field].name; }
  bool is_interval(std::uint32_t node) const {
    return nodes_[node].kind == NodeKind::term && term_of(node).kind == TermKind::interval;
  }

  std::size_t count_of(std::uint32_t node) const {
    if (nodes_[node].kind == NodeKind::term) {
      return directory_.count(term_of(node), name_of(term_of(node)));
    }
    if (nodes_[node].kind == NodeKind::all) return count_within(node, rarest_child(node));
    std::size_t sum = 0;
    each_child(node, [&](std::uint32_t child) { sum = plus(sum, out_.counts[child]); });
    return sum;
  }

  // What the intervals of its field under `node`, this one of them, have in common.
  ValueDirectory::Interval common_interval(std::uint32_t node, std::uint32_t interval) const {
    ValueDirectory::Interval common = ValueDirectory::interval_of(term_of(interval));
    each_child(node, [&](std::uint32_t child) {
      if (child == interval || !is_interval(child)) return;
      if (term_of(child).field != term_of(interval).field) return;
      const ValueDirectory::Interval other = ValueDirectory::interval_of(term_of(child));
      common.low = std::max(common.low, other.low);
      common.high = std::min(common.high, other.high);
      common.of_several = true;
    });
    return common;
  }

  std::size_t count_within(std::uint32_t node, std::uint32_t child) const {
    if (!is_interval(child)) return out_.counts[child];
    return directory_.count(common_interval(node, child), name_of(term_of(child)));
  }

  std::uint32_t rarest_child(std::uint32_t node) const {
    std::uint32_t rarest = node + 1;
    std::size_t least = ValueDirectory::kEveryPart;
    each_child(node, [&](std::uint32_t child) {
      const std::size_t count = count_within(node, child);
      if (count < least) rarest = child;
      least = std::min(least, count);
    });
    return rarest;
  }

  void mark(std::uint32_t node) {
    if (nodes_[node].kind == NodeKind::any) {
      each_child(node, [&](std::uint32_t child) { mark(child); });
    } else if (nodes_[node].kind == NodeKind::term) {
      mark(term_of(node), name_of(term_of(node)));
    } else if (const std::uint32_t child = rarest_child(node); is_interval(child)) {
      mark(common_interval(node, child), name_of(term_of(child)));
    } else {
      mark(child);
    }
  }

  template <typename Comparison>
  void mark(const Comparison& wanted, std::string_view field) {
    directory_.each(wanted, field, [&](std::uint32_t part) {
      out_.marks[part / 64] |= std::uint64_t{1} << (part % 64);
    });
  }

  std::span<const FilterNode> nodes_;
  std::span<const FilterTerm> terms_;
  std::span<const FilterField> fields_;
  const ValueDirectory& directory_;
  PartMatches& out_;
};

}  // namespace

bool Filter::find_parts(const ValueDirectory& directory, std::size_t count_max,
                        PartMatches& out) const {
  out.parts.clear();
  if (nodes_.empty()) return false;
  PartFold fold(nodes_, terms_, fields_, directory, out);
  if (fold.count() > count_max) return false;
  out.marks.assign((directory.part_end() + 63) / 64, 0);
  fold.mark();
  for (std::size_t word = 0; word < out.marks.size(); ++word) {
    for (std::uint64_t left = out.marks[word]; left != 0; left &= left - 1) {
      out.parts.push_back(static_cast<std::uint32_t>(word * 64) +
                          static_cast<std::uint32_t>(std::countr_zero(left)));
    }
  }
  return true;
}

}  // namespace varve::engine
