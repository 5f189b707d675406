#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "engine/filter/filter.h"

namespace varve::engine {
namespace {

using nlohmann::json;

tl::unexpected<Error> refuse(std::string_view what) {
  return fail(ErrorKind::invalid, fmt::format("filter: {}", what),
              "fields with values or $eq $ne $gt $gte $lt $lte $in $nin $exists $startsWith, "
              "$and and $or with lists of filters");
}

// For messages: short, and nothing that cannot be printed.
std::string shown(std::string_view name) {
  constexpr std::size_t kShownMax = 80;
  std::size_t end = std::min(name.size(), kShownMax);
  const auto is_inside = [&](std::size_t i) {  // of a character
    return i < name.size() && (static_cast<unsigned char>(name[i]) & 0xC0U) == 0x80U;
  };
  while (end > 0 && is_inside(end)) --end;
  std::string text(name.substr(0, end));
  for (char& c : text) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return fmt::format("\"{}{}\"", text, end < name.size() ? "..." : "");
}

std::string_view type_of(const json& value) {
  if (value.is_string()) return "a string";
  if (value.is_number()) return "a number";
  if (value.is_boolean()) return "a boolean";
  if (value.is_array()) return value.empty() ? "an empty list" : "a list";
  return value.is_null() ? "null" : "an object";
}

bool is_primitive(const json& value) {
  return value.is_string() || value.is_number() || value.is_boolean();
}

// A name that comes twice: which of them is meant nobody can say.
struct Repeated {
  std::vector<std::set<std::string>> names;  // of the objects that are open
  std::optional<std::string> found;

  bool operator()(int depth, json::parse_event_t event, json& value) {
    const auto level = static_cast<std::size_t>(depth);
    if (event == json::parse_event_t::object_start) {
      if (names.size() <= level) names.resize(level + 1);
      names[level].clear();
    } else if (event == json::parse_event_t::key) {
      const auto& name = value.get_ref<const std::string&>();
      if (!names[level - 1].insert(name).second) found = name;
    }
    return true;
  }
};

Result<json> read_json(std::string_view text) {
  if (text.size() > kFilterBytesMax) {
    return refuse(fmt::format("{} bytes, at most {} are allowed", text.size(), kFilterBytesMax));
  }
  Repeated repeated;
  json tree;
  try {
    tree = json::parse(text, std::ref(repeated));
  } catch (const json::parse_error& error) {
    return refuse(fmt::format("not JSON at byte {}", error.byte));
  } catch (const json::exception&) {
    return refuse("a number is too large");
  }
  if (repeated.found) return refuse(fmt::format("{} is given twice", shown(*repeated.found)));
  return tree;
}

}  // namespace

class FilterParser {
 public:
  Result<Filter> parse(const json& tree) {
    if (!tree.is_object()) return refuse(fmt::format("wants an object, not {}", type_of(tree)));
    if (tree.empty()) return Filter();  // matches everything
    VARVE_CHECK(object(tree, 0));
    gather_terms();
    std::uint32_t at = 0;
    filter_.depth_ = depth(at);
    return std::move(filter_);
  }

 private:
  static constexpr std::uint32_t kUnset = 0xFFFFFFFF;

  // Opens a node for `children` that are and-ed or or-ed; one alone needs none.
  std::uint32_t open(NodeKind kind, std::size_t children) {
    if (children == 1) return kUnset;
    filter_.nodes_.push_back({kind, 0, 0});
    return static_cast<std::uint32_t>(filter_.nodes_.size() - 1);
  }
  void close(std::uint32_t node) {
    if (node != kUnset)
      filter_.nodes_[node].end = static_cast<std::uint32_t>(filter_.nodes_.size());
  }

  Status object(const json& tree, std::size_t level) {
    const std::uint32_t node = open(NodeKind::all, tree.size());
    for (const auto& [name, value] : tree.items()) {
      VARVE_CHECK(name.starts_with('$') ? logic(name, value, level + 1) : field(name, value));
    }
    close(node);
    return {};
  }

  Status logic(const std::string& name, const json& filters, std::size_t level) {
    const bool all = name == "$and";
    if (!all && name != "$or") {
      return refuse(fmt::format("{} is neither a field nor $and or $or", shown(name)));
    }
    if (level > kFilterDepthMax) {
      return refuse(fmt::format("{} is nested deeper than {}", name, kFilterDepthMax));
    }
    if (!filters.is_array() || filters.empty()) {
      return refuse(fmt::format("{} wants a list of filters that is not empty, not {}", name,
                                type_of(filters)));
    }
    const std::uint32_t node = open(all ? NodeKind::all : NodeKind::any, filters.size());
    for (const json& filter : filters) {
      if (!filter.is_object() || filter.empty()) {
        return refuse(fmt::format("{} wants filters that are not empty, not {}", name,
                                  filter.is_object() ? "an empty object" : type_of(filter)));
      }
      VARVE_CHECK(object(filter, level));
    }
    close(node);
    return {};
  }

  Status field(const std::string& name, const json& value) {
    if (!value.is_object()) return comparison(name, "$eq", value);
    if (value.empty()) return refuse(fmt::format("{} has no operator", shown(name)));
    const std::uint32_t node = open(NodeKind::all, value.size());
    for (const auto& [op, operand] : value.items()) VARVE_CHECK(comparison(name, op, operand));
    close(node);
    return {};
  }

  Status comparison(const std::string& name, const std::string& op, const json& operand) {
    if (filter_.terms_.size() == kFilterTermsMax) {
      return refuse(fmt::format("more than {} comparisons", kFilterTermsMax));
    }
    VARVE_TRY(FilterTerm term, term_of(name, op, operand));
    term.field = field_number(name);
    const auto number = static_cast<std::uint32_t>(filter_.terms_.size());
    filter_.nodes_.push_back(
        {NodeKind::term, number, static_cast<std::uint32_t>(filter_.nodes_.size() + 1)});
    filter_.terms_.push_back(std::move(term));
    return {};
  }

  Result<FilterTerm> term_of(const std::string& name, const std::string& op, const json& operand) {
    const auto wrong = [&](std::string_view wanted) {
      return refuse(fmt::format("{} of {} wants {}, not {}", shown_operator(op), shown(name),
                                wanted, type_of(operand)));
    };
    FilterTerm term;
    term.negated = op == "$ne" || op == "$nin";
    if (op == "$eq" || op == "$ne") {
      if (!is_primitive(operand)) return wrong("a string, a number or a boolean");
      term.kind = TermKind::values;
      add_value(term, operand);
    } else if (op == "$in" || op == "$nin") {
      if (!operand.is_array() || operand.empty()) return wrong("a list that is not empty");
      VARVE_CHECK(add_values(term, name, op, operand));
    } else if (op == "$gt" || op == "$gte" || op == "$lt" || op == "$lte") {
      if (!operand.is_number()) return wrong("a number");
      term.kind = TermKind::interval;
      const bool low = op.starts_with("$g");
      (low ? term.low : term.high) = operand.get<double>();
      (low ? term.low_open : term.high_open) = !op.ends_with('e');
    } else if (op == "$exists") {
      if (!operand.is_boolean()) return wrong("a boolean");
      term.negated = !operand.get<bool>();
    } else if (op == "$startsWith") {
      if (!operand.is_string()) return wrong("a string");
      term.kind = TermKind::prefix;
      term.strings.push_back(operand.get<std::string>());
    } else {
      return refuse(fmt::format("operator {} of {} is unknown", shown_operator(op), shown(name)));
    }
    return term;
  }

  Status add_values(FilterTerm& term, const std::string& name, const std::string& op,
                    const json& list) {
    term.kind = TermKind::values;
    values_ += list.size();
    if (values_ > kFilterValuesMax) {
      return refuse(fmt::format("more than {} values in lists", kFilterValuesMax));
    }
    for (const json& value : list) {
      if (!is_primitive(value)) {
        return refuse(fmt::format("{} of {} wants strings, numbers and booleans, not {}", op,
                                  shown(name), type_of(value)));
      }
      add_value(term, value);
    }
    std::sort(term.numbers.begin(), term.numbers.end());
    std::sort(term.strings.begin(), term.strings.end());
    const auto repeated = std::unique(term.strings.begin(), term.strings.end());
    term.strings.erase(repeated, term.strings.end());
    term.numbers.erase(std::unique(term.numbers.begin(), term.numbers.end()), term.numbers.end());
    return {};
  }

  static void add_value(FilterTerm& term, const json& value) {
    if (value.is_string()) term.strings.push_back(value.get<std::string>());
    if (value.is_number()) term.numbers.push_back(value.get<double>());
    if (value.is_boolean()) (value.get<bool>() ? term.hits_true : term.hits_false) = true;
  }

  static std::string shown_operator(const std::string& op) {
    return op.starts_with('$') && op.size() < 20 ? op : shown(op);
  }

  std::uint32_t field_number(const std::string& name) {
    const auto is_named = [&](const FilterField& field) { return field.name == name; };
    const auto at = std::find_if(filter_.fields_.begin(), filter_.fields_.end(), is_named);
    const auto number = static_cast<std::uint32_t>(at - filter_.fields_.begin());
    if (at == filter_.fields_.end()) filter_.fields_.push_back({name, 0, 0});
    return number;
  }

  // Puts the terms of one field side by side.
  void gather_terms() {
    std::vector<FilterTerm> gathered;
    std::vector<std::uint32_t> moved(filter_.terms_.size());
    for (std::uint32_t f = 0; f < filter_.fields_.size(); ++f) {
      filter_.fields_[f].first = static_cast<std::uint32_t>(gathered.size());
      for (std::size_t t = 0; t < moved.size(); ++t) {
        if (filter_.terms_[t].field != f) continue;
        moved[t] = static_cast<std::uint32_t>(gathered.size());
        gathered.push_back(filter_.terms_[t]);
      }
      filter_.fields_[f].end = static_cast<std::uint32_t>(gathered.size());
    }
    filter_.terms_ = std::move(gathered);
    for (FilterNode& node : filter_.nodes_) {
      if (node.kind == NodeKind::term) node.term = moved[node.term];
    }
  }

  // Levels that the node at `at` and what is below it take.
  std::size_t depth(std::uint32_t& at) const {
    const FilterNode& node = filter_.nodes_[at++];
    std::size_t below = 0;
    while (at < node.end) below = std::max(below, depth(at));
    return below + 1;
  }

  Filter filter_;
  std::size_t values_ = 0;
};

Result<Filter> Filter::parse(std::string_view text) {
  VARVE_TRY(const json tree, read_json(text));
  return FilterParser().parse(tree);
}

}  // namespace varve::engine
