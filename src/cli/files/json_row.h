// One row of JSONL: {"key": "...", "vector": [...], "metadata": {...}}, the last optional or null.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cli/files/row_rules.h"
#include "varve/types.h"

namespace varve::cli {

// Keeps its buffers between rows. One thread at a time.
class JsonRowParser {
 public:
  JsonRowParser();
  ~JsonRowParser();
  JsonRowParser(JsonRowParser&&) noexcept;
  JsonRowParser& operator=(JsonRowParser&&) noexcept;

  // Fills `record`; a row without "key" gets an empty one. `invalid`: not such an object, a field
  // that is unknown, repeated or of the wrong type, or a vector that breaks the rules.
  Status parse(std::string_view line, const RowPlace& place, const RowRules& rules,
               VectorRecord& record);
  // A bare array of numbers. `invalid` without a place: "vector[3] is no number".
  Status parse_vector(std::string_view text, std::vector<float>& vector);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve::cli
