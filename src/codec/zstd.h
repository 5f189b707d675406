// zstd frames of known size.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace varve::codec {

// Levels 1 to 22. REQUIRES: bytes.size() < 2 GiB.
base::Bytes compress(base::ByteSpan bytes, int level);

// `corrupt`: not a zstd frame, damaged, or its content is not exactly `size` bytes. Allocates
// `size` only, so the caller bounds it first.
Result<base::Bytes> decompress(base::ByteSpan frame, std::size_t size);

}  // namespace varve::codec
