// The hash of keys where a hit needs it, without the call into the library.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace varve::cache {

// hash_of_key.
inline std::uint64_t key_hash(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace varve::cache
