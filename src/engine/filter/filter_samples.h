// Random rows and filters that meet each other often, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"

namespace varve::engine {

class FilterSampler {
 public:
  explicit FilterSampler(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  // Draws what the rows of one part have: few or many fields, values and shapes.
  void begin_part();
  std::string metadata();
  std::string filter();

 private:
  bool chance(std::uint64_t percent) { return below(100) < percent; }
  std::string space();
  std::string field_name();
  static std::string field_name(std::uint64_t i);
  // With random escapes, so that no two spellings of a text need be the same bytes.
  std::string quoted(const std::string& text);
  std::string word();
  std::string number();
  std::string primitive();
  std::string value(unsigned depth);
  std::string list_of_primitives();
  std::string front_of(const std::string& text);
  std::string comparison();
  std::string filter_object(unsigned depth);

  base::Random random_;
  std::uint64_t fields_ = 4, words_ = 4, numbers_ = 4;
  bool ordered_ = false;  // each row has the same fields, apart from those that are missing
  std::uint64_t list_percent_ = 10, odd_percent_ = 5, missing_percent_ = 20;
};

}  // namespace varve::engine
