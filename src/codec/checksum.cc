#include "codec/checksum.h"

#include <isa-l/crc.h>
#include <xxhash.h>

#include <algorithm>

namespace varve::codec {

std::uint32_t crc32c(base::ByteSpan bytes) {
  // ISA-L neither inverts nor finishes, takes an int for the length, and reads only, in spite of
  // the missing const.
  constexpr std::size_t kChunkBytes = std::size_t{1} << 30;
  std::uint32_t crc = 0xFFFFFFFFU;
  while (!bytes.empty()) {
    const std::size_t n = std::min(bytes.size(), kChunkBytes);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(n), crc);
    bytes = bytes.subspan(n);
  }
  return ~crc;
}

Hash128 hash128(base::ByteSpan bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return Hash128{hash.high64, hash.low64};
}

std::uint64_t hash64(base::ByteSpan bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace varve::codec
