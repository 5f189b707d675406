// Chunk n of a file has the key "<file>#<n>".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "varve/result.h"

namespace varve::text {

std::string chunk_key(const std::string& file, std::size_t n);

// The file of a chunk; nullopt if the key is no chunk's. "a#1#2" is chunk 2 of the file "a#1".
std::optional<std::string_view> file_of_chunk(std::string_view key);

// `invalid`: no key can be made of the name.
Status check_file_name(const std::string& file);

}  // namespace varve::text
