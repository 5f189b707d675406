// GloVe-style text: a word and then the numbers, blanks between. The word is the key; it may hold
// blanks itself, so that the numbers are the last `dim` fields.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/result.h"
#include "cli/files/formats.h"

namespace varve::cli {
namespace {

class WordRows final : public RowSource {
 public:
  WordRows(ByteReader in, RowRules rules) : in_(std::move(in)), rules_(rules) {}

  std::uint64_t size_hint() const override { return 0; }

  Result<bool> next(VectorRecord& record) override {
    ++line_number_;
    VARVE_TRY(const bool more, in_.read_line(line_, kLineBytesMax));
    if (!more) return false;
    if (line_.size() > kLineBytesMax) {
      return tl::unexpected(row_error(place(), "the line is longer than 1 MiB"));
    }
    std::string_view rest = trimmed(line_);
    if (rules_.dim == 0) {
      const auto blanks = std::count(rest.begin(), rest.end(), ' ');
      VARVE_CHECK(check_dim(place(), static_cast<std::uint64_t>(blanks), rules_));
      rules_.dim = static_cast<std::uint32_t>(blanks);
    }
    record.metadata.clear();
    record.vector.resize(rules_.dim);
    for (std::size_t i = rules_.dim; i-- > 0;) {
      VARVE_TRY(record.vector[i], last_number(rest, i));
    }
    if (rest.empty()) return tl::unexpected(row_error(place(), "no word before the numbers"));
    VARVE_CHECK(check_surplus(rest));
    record.key = rest;
    VARVE_CHECK(check_values(place(), record.vector, rules_));
    return true;
  }

 private:
  RowPlace place() const { return {in_.name(), "line", line_number_}; }

  static std::string_view trimmed(std::string_view text) {
    const std::size_t end = text.find_last_not_of(" \t");
    return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
  }

  // Takes the last field off `rest`.
  Result<float> last_number(std::string_view& rest, std::size_t i) const {
    const std::size_t blank = rest.find_last_of(" \t");
    if (blank == std::string_view::npos) {
      return tl::unexpected(row_error(
          place(), fmt::format("{} numbers, expected {}", rules_.dim - i - 1, rules_.dim)));
    }
    const std::string_view field = rest.substr(blank + 1);
    rest = trimmed(rest.substr(0, blank));
    float value = 0;
    const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (code != std::errc() || end != field.data() + field.size()) {
      return tl::unexpected(row_error(place(), fmt::format("vector[{}] is no number", i)));
    }
    return value;
  }

  // A word may be a number ("1984") and may hold blanks, but a word that ends in a second number
  // is a row of another dimension.
  Status check_surplus(std::string_view word) const {
    const std::size_t blank = word.find_last_of(" \t");
    if (blank == std::string_view::npos) return {};
    const std::string_view field = word.substr(blank + 1);
    float value = 0;
    const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (code != std::errc() || end != field.data() + field.size()) return {};
    return tl::unexpected(row_error(place(), fmt::format("more than {} numbers", rules_.dim)));
  }

  ByteReader in_;
  RowRules rules_;
  std::string line_;
  std::uint64_t line_number_ = 0;
};

}  // namespace

RowSourceResult open_words(ByteReader in, RowRules rules) {
  return std::make_unique<WordRows>(std::move(in), rules);
}

}  // namespace varve::cli
