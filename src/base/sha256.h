// SHA-256 through OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "base/bytes.h"

namespace varve::base {

using Sha256 = std::array<std::byte, 32>;

Sha256 sha256(ByteSpan bytes);
// 64 lower-case characters.
std::string sha256_hex(ByteSpan bytes);

}  // namespace varve::base
