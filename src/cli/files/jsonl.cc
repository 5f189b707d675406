// JSONL: one row of json_row.h a line; empty lines are skipped. Either every row has a key or none.
#include <optional>

#include "base/result.h"
#include "cli/files/formats.h"
#include "cli/files/json_row.h"

namespace varve::cli {
namespace {

class JsonlRows final : public RowSource {
 public:
  JsonlRows(ByteReader in, RowRules rules) : in_(std::move(in)), rules_(rules) {}

  std::uint64_t size_hint() const override { return 0; }

  Result<bool> next(VectorRecord& record) override {
    // Ends: each turn takes a line.
    do {
      ++line_number_;
      VARVE_TRY(const bool more, in_.read_line(line_, kLineBytesMax));
      if (!more) return false;
      if (line_.size() > kLineBytesMax) {
        return tl::unexpected(row_error(place(), "the line is longer than 1 MiB"));
      }
    } while (line_.find_first_not_of(" \t") == std::string::npos);
    VARVE_CHECK(parser_.parse(line_, place(), rules_, record));
    const bool keyed = !record.key.empty();
    if (keyed_.value_or(keyed) != keyed) {
      return tl::unexpected(row_error(place(), keyed ? "has a key, unlike the rows before it"
                                                     : "has no key, unlike the rows before it"));
    }
    keyed_ = keyed;
    rules_.dim = static_cast<std::uint32_t>(record.vector.size());
    return true;
  }

 private:
  RowPlace place() const { return {in_.name(), "line", line_number_}; }

  ByteReader in_;
  RowRules rules_;
  std::optional<bool> keyed_;  // unknown before the first row
  JsonRowParser parser_;
  std::string line_;
  std::uint64_t line_number_ = 0;
};

}  // namespace

RowSourceResult open_jsonl(ByteReader in, RowRules rules) {
  return std::make_unique<JsonlRows>(std::move(in), rules);
}

}  // namespace varve::cli
