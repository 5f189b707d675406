#include "store/keys.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve::store {
namespace {

bool is_key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

tl::unexpected<Error> bad_key(std::string_view key, std::string_view why) {
  // A hostile key goes into no log as it is.
  std::string shown;
  for (const char c : key.substr(0, 80)) shown += is_key_char(c) || c == '/' ? c : '?';
  return fail(ErrorKind::invalid, fmt::format("object key \"{}\": {}", shown, why));
}

}  // namespace

bool is_segment(std::string_view segment) {
  return !segment.empty() && segment.size() <= kSegmentBytesMax && segment != "." &&
         segment != ".." && std::all_of(segment.begin(), segment.end(), is_key_char);
}

Status check_key(std::string_view key) {
  if (key.empty()) return bad_key(key, "empty");
  if (key.size() > kKeyBytesMax) {
    return bad_key(key, fmt::format("{} bytes, at most {} allowed", key.size(), kKeyBytesMax));
  }
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('/', begin), key.size());
    const auto segment = key.substr(begin, end - begin);
    if (!is_segment(segment)) return bad_key(key, "a segment is empty, too long or not a name");
    if (begin == 0 && (segment == kTempFolder || segment == kLockFolder)) {
      return bad_key(key, "the first segment is reserved");
    }
    begin = end + 1;
  }
  return {};
}

}  // namespace varve::store
