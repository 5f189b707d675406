// UTF-8 as bytes: lengths and cuts that never split a character.
#pragma once

#include <cstddef>
#include <string_view>

namespace varve::base {

// Well-formed by RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

// Bytes of the character at `i`, 0 if it is malformed. REQUIRES: i < bytes.size().
std::size_t character_bytes(std::string_view bytes, std::size_t i);

// Characters (code points). REQUIRES: is_utf8(text).
std::size_t count_characters(std::string_view text);

// Bytes of the first `characters` characters, or the size of all. REQUIRES: is_utf8(text).
std::size_t bytes_of_characters(std::string_view text, std::size_t characters);

}  // namespace varve::base
