// Method::zstd and zstd_dictionary.
#pragma once

#include "codec/dictionary.h"
#include "codec/internal/methods.h"

namespace varve::codec {

// A frame without magic number, content size and checksum: the record has the size and a CRC-32C.
// nullopt: not smaller. REQUIRES: level of 1 to 22, raw.size() < 2 GiB.
Packed pack_zstd(base::ByteSpan raw, int level, const Dictionary* dictionary);
// Also `invalid`: made with another dictionary.
Status unpack_zstd(base::ByteSpan stored, std::span<std::byte> out, const Dictionary* dictionary);

}  // namespace varve::codec
