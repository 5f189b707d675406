#include "text/chunk_keys.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "varve/types.h"

namespace varve::text {
namespace {

// Leaves room for "#<n>" in the key.
constexpr std::size_t kFileNameBytesMax = kKeyBytesMax - 24;

}  // namespace

std::string chunk_key(const std::string& file, std::size_t n) {
  return fmt::format("{}#{}", file, n);
}

std::optional<std::string_view> file_of_chunk(std::string_view key) {
  const std::size_t mark = key.rfind('#');
  if (mark == std::string_view::npos || mark == 0 || mark + 1 == key.size()) return std::nullopt;
  if (key.find_first_not_of("0123456789", mark + 1) != std::string_view::npos) return std::nullopt;
  return key.substr(0, mark);
}

Status check_file_name(const std::string& file) {
  if (file.size() > kFileNameBytesMax) {
    return fail(ErrorKind::invalid, fmt::format("its name has {} bytes, at most {} fit into a key",
                                                file.size(), kFileNameBytesMax));
  }
  if (!base::is_utf8(file)) return fail(ErrorKind::invalid, "its name is not UTF-8");
  return {};
}

}  // namespace varve::text
