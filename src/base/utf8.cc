#include "base/utf8.h"

namespace varve::base {
namespace {

unsigned byte_at(std::string_view bytes, std::size_t i) {
  return static_cast<unsigned char>(bytes[i]);
}
bool is_continuation(unsigned byte) { return (byte & 0xc0) == 0x80; }

}  // namespace

// Table 3-7 of the Unicode standard.
std::size_t character_bytes(std::string_view bytes, std::size_t i) {
  const unsigned first = byte_at(bytes, i);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || i + size > bytes.size()) return 0;
  for (std::size_t k = 1; k < size; ++k) {
    if (!is_continuation(byte_at(bytes, i + k))) return 0;
  }
  const unsigned second = byte_at(bytes, i + 1);
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  return size;
}

bool is_utf8(std::string_view bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    const std::size_t size = character_bytes(bytes, i);
    if (size == 0) return false;
    i += size;
  }
  return true;
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) count += is_continuation(byte_at(text, i)) ? 0 : 1;
  return count;
}

std::size_t bytes_of_characters(std::string_view text, std::size_t characters) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_continuation(byte_at(text, i))) continue;
    if (characters == 0) return i;
    --characters;
  }
  return text.size();
}

}  // namespace varve::base
