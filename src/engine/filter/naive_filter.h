// docs/filters.md, read word by word: a second reading of the same page to compare with. Shares
// nothing with the filter itself.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace varve::engine {

inline bool naive_equal(const nlohmann::json& value, const nlohmann::json& wanted) {
  if (value.is_number() && wanted.is_number()) {
    return value.get<double>() == wanted.get<double>();
  }
  if (value.is_string() && wanted.is_string()) {
    return value.get<std::string>() == wanted.get<std::string>();
  }
  return value.is_boolean() && wanted.is_boolean() && value.get<bool>() == wanted.get<bool>();
}

inline bool naive_hit(const nlohmann::json& value, const std::string& op,
                      const nlohmann::json& operand) {
  if (op == "$eq") return naive_equal(value, operand);
  if (op == "$in") {
    for (const auto& wanted : operand) {
      if (naive_equal(value, wanted)) return true;
    }
    return false;
  }
  if (op == "$startsWith") {
    return value.is_string() && value.get<std::string>().rfind(operand.get<std::string>(), 0) == 0;
  }
  if (!value.is_number()) return false;
  const auto number = value.get<double>();
  const auto bound = operand.get<double>();
  if (op == "$gt") return number > bound;
  if (op == "$gte") return number >= bound;
  if (op == "$lt") return number < bound;
  return op == "$lte" && number <= bound;
}

inline bool naive_operator(const nlohmann::json& row, const std::string& field,
                           const std::string& op, const nlohmann::json& operand) {
  const bool there = row.is_object() && row.contains(field) && !row[field].is_null();
  if (op == "$exists") return there == operand.get<bool>();
  if (!there) return false;
  if (op == "$ne") return !naive_operator(row, field, "$eq", operand);
  if (op == "$nin") return !naive_operator(row, field, "$in", operand);
  if (!row[field].is_array()) return naive_hit(row[field], op, operand);
  for (const auto& value : row[field]) {
    if (naive_hit(value, op, operand)) return true;
  }
  return false;
}

// REQUIRES: a filter that the grammar allows; `row` is the metadata, an object or null for none.
inline bool naive_matches(const nlohmann::json& filter, const nlohmann::json& row) {
  for (const auto& [name, value] : filter.items()) {
    bool truth = true;
    if (name == "$and") {
      for (const auto& part : value) truth = truth && naive_matches(part, row);
    } else if (name == "$or") {
      truth = false;
      for (const auto& part : value) truth = truth || naive_matches(part, row);
    } else if (value.is_object()) {
      for (const auto& [op, operand] : value.items()) {
        truth = truth && naive_operator(row, name, op, operand);
      }
    } else {
      truth = naive_operator(row, name, "$eq", value);
    }
    if (!truth) return false;
  }
  return true;
}

}  // namespace varve::engine
