#include "cli/files/npy_header.h"

#include <fmt/format.h>

#include <charconv>

#include "base/result.h"

namespace varve::cli {
namespace {

constexpr std::size_t kShapeDimensionsMax = 32;

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorKind::invalid, fmt::format("malformed npy header: {}", what));
}

class HeaderText {
 public:
  explicit HeaderText(std::string_view text) : rest_(text) {}

  // Skips blanks, then takes `token` if it comes next.
  bool take(std::string_view token) {
    skip_blanks();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }

  Result<std::string> quoted() {
    skip_blanks();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return malformed("no string");
    const std::size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos) return malformed("a string without an end");
    std::string value(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return value;
  }

  Result<std::uint64_t> number() {
    skip_blanks();
    std::uint64_t value = 0;
    const auto [end, code] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (code != std::errc()) return malformed("a size in the shape is no number");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

 private:
  void skip_blanks() {
    const std::size_t start = rest_.find_first_not_of(" \t\n\r");
    rest_.remove_prefix(start == std::string_view::npos ? rest_.size() : start);
  }

  std::string_view rest_;
};

Result<std::vector<std::uint64_t>> parse_shape(HeaderText& text) {
  std::vector<std::uint64_t> shape;
  if (!text.take("(")) return malformed("the shape is no tuple");
  while (!text.take(")")) {
    if (shape.size() == kShapeDimensionsMax) return malformed("too many dimensions");
    VARVE_TRY(const std::uint64_t size, text.number());
    shape.push_back(size);
    if (!text.take(",")) {
      if (!text.take(")")) return malformed("the shape has no end");
      break;
    }
  }
  return shape;
}

}  // namespace

Result<NpyHeader> parse_npy_header(std::string_view bytes) {
  HeaderText text(bytes);
  NpyHeader header;
  bool has_descr = false, has_order = false, has_shape = false;
  if (!text.take("{")) return malformed("no dictionary");
  while (!text.take("}")) {
    VARVE_TRY(const std::string key, text.quoted());
    if (!text.take(":")) return malformed("no colon after a key");
    if (key == "descr" && !has_descr) {
      has_descr = true;
      VARVE_TRY(header.descr, text.quoted());
    } else if (key == "fortran_order" && !has_order) {
      has_order = true;
      header.fortran_order = text.take("True");
      if (!header.fortran_order && !text.take("False")) return malformed("bad fortran_order");
    } else if (key == "shape" && !has_shape) {
      has_shape = true;
      VARVE_TRY(header.shape, parse_shape(text));
    } else {
      return malformed("an unexpected or repeated key");
    }
    if (!text.take(",")) {
      if (!text.take("}")) return malformed("the dictionary has no end");
      break;
    }
  }
  if (!has_descr || !has_order || !has_shape) return malformed("a key is missing");
  if (!text.at_end()) return malformed("text after the dictionary");
  return header;
}

}  // namespace varve::cli
