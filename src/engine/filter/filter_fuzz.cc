#include "base/assert.h"
#include "engine/filter/filter.h"
#include "engine/validate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::engine;
  // A filter, a NUL, then the metadata of rows, each up to the next NUL.
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), size);
  const auto filter = Filter::parse(input.substr(0, end));
  if (!filter) {
    VARVE_ASSERT(filter.error().kind == ErrorKind::invalid);
    VARVE_ASSERT(filter.error().message.starts_with("filter: "));
    return 0;
  }
  std::vector<std::string_view> texts;
  for (std::size_t at = end + 1; at < size;) {
    const std::size_t stop = std::min(input.find('\0', at), size);
    const std::string_view text = input.substr(at, stop - at);
    // What no row can have is not asked for: of malformed texts, readers see what they look at.
    if (validate_metadata(text)) texts.push_back(text);
    at = stop + 1;
  }
  if (texts.empty()) return 0;
  const auto columns = format::Attributes::decode(format::encode_row_attributes(texts),
                                                  static_cast<std::uint32_t>(texts.size()), "fuzz");
  VARVE_ASSERT(columns.has_value());
  RowMatches rows;
  filter->evaluate(*columns, rows);
  for (std::size_t row = 0; row < texts.size(); ++row) {
    const bool expected = filter->matches(texts[row]);
    const bool matches = (rows.matches[row / 64] >> (row % 64) & 1U) != 0;
    const bool unsure = (rows.unsure[row / 64] >> (row % 64) & 1U) != 0;
    VARVE_ASSERT(unsure ? !matches : matches == expected);
    VARVE_ASSERT(!expected || filter->may_match(columns->summary()));
    VARVE_ASSERT(expected || !filter->matches_all(columns->summary()));
  }
  return 0;
}
