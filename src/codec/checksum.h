// Checksums of the formats. Algorithm, seed and width are part of the format.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace varve::codec {

// CRC-32C (Castagnoli), as in iSCSI: crc32c("123456789") == 0xE3069283.
std::uint32_t crc32c(base::ByteSpan bytes);

// XXH3 128-bit, seed 0.
struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Hash128&) const = default;
};
Hash128 hash128(base::ByteSpan bytes);

// XXH3 64-bit, seed 0: hashes keys.
std::uint64_t hash64(base::ByteSpan bytes);

}  // namespace varve::codec
