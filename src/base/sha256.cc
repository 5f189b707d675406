#include "base/sha256.h"

#include <fmt/format.h>
#include <openssl/sha.h>

namespace varve::base {

Sha256 sha256(ByteSpan bytes) {
  Sha256 digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string sha256_hex(ByteSpan bytes) {
  std::string hex;
  for (const std::byte byte : sha256(bytes))
    hex += fmt::format("{:02x}", std::to_integer<int>(byte));
  return hex;
}

}  // namespace varve::base
