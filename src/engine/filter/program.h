// A parsed filter: a tree of terms in a flat array, and how to fold it.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/json_fields.h"

namespace varve::engine {

enum class TermKind : std::uint8_t { values, interval, prefix, exists };

// One comparison with one field. It is true of a row if the field is there and one of its values
// is hit; negated, if the field is there and none is. `exists` asks whether it is there.
struct FilterTerm {
  std::uint32_t field = 0;
  TermKind kind = TermKind::exists;
  bool negated = false;
  // values
  bool hits_false = false, hits_true = false;
  std::vector<double> numbers;       // ascending
  std::vector<std::string> strings;  // ascending; prefix: the only one
  // interval
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;
};

bool hits(const FilterTerm& term, double number);
bool hits(const FilterTerm& term, std::string_view text);
bool hits(const FilterTerm& term, const format::JsonValue& value);

// The terms of one field: [first, end).
struct FilterField {
  std::string name;
  std::uint32_t first = 0;
  std::uint32_t end = 0;
};

enum class NodeKind : std::uint8_t { term, all, any };
// Parents stand before their children. A term has no children.
struct FilterNode {
  NodeKind kind = NodeKind::term;
  std::uint32_t term = 0;
  std::uint32_t end = 0;  // one past its last descendant
};

// Certain and possible. Both are monotone in the terms, because only terms are negated: so a tree
// is folded for both at once.
struct Likelihood {
  bool certain = false;
  bool possible = false;
  Likelihood operator&(Likelihood o) const {
    return {certain && o.certain, possible && o.possible};
  }
  Likelihood operator|(Likelihood o) const {
    return {certain || o.certain, possible || o.possible};
  }
};

// The value of the node at `at`, which moves behind it. V has & and |; leaf(term) gives a V.
template <typename V, typename Leaf>
V fold(std::span<const FilterNode> nodes, std::uint32_t& at, const Leaf& leaf) {
  const FilterNode& node = nodes[at++];
  if (node.kind == NodeKind::term) return leaf(node.term);
  V value = fold<V>(nodes, at, leaf);
  while (at < node.end) {
    const V next = fold<V>(nodes, at, leaf);
    value = node.kind == NodeKind::all ? value & next : value | next;
  }
  return value;
}

// [first, end) of the codes of a column.
struct CodeRange {
  std::uint32_t first = 0;
  std::uint32_t end = 0;
};

// What `Filter::evaluate` works in.
struct FilterScratch {
  std::vector<std::uint64_t> levels;
  std::vector<CodeRange> ranges;
  std::vector<std::uint8_t> table;
};

}  // namespace varve::engine
