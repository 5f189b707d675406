// zstd frames of known size.
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/pool.h"
#include "base/result.h"
#include "codec/dictionary.h"

namespace varve::codec {

// Levels 1 to 22, with a checksum of the content in the frame. REQUIRES: bytes.size() < 2 GiB.
base::Bytes compress(base::ByteSpan bytes, int level, const Dictionary* dictionary = nullptr);

// `corrupt`: not a zstd frame, damaged, or its content is not exactly `size` bytes. Allocates
// `size` only, so the caller bounds it first. `invalid`: made with a dictionary, and this is not
// it.
Result<base::Bytes> decompress(base::ByteSpan frame, std::size_t size,
                               const Dictionary* dictionary = nullptr);
// The same into `out`, which the content must fill. After an error `out` holds anything.
Status decompress_into(base::ByteSpan frame, std::span<std::byte> out,
                       const Dictionary* dictionary = nullptr);

// Each of many, on the threads of the pool.
std::vector<base::Bytes> compress_all(std::span<const base::ByteSpan> parts, int level,
                                      base::Pool& pool, const Dictionary* dictionary = nullptr);
struct SizedFrame {
  base::ByteSpan frame;
  std::size_t size = 0;
};
// The first error, if one has any.
Result<std::vector<base::Bytes>> decompress_all(std::span<const SizedFrame> frames,
                                                base::Pool& pool,
                                                const Dictionary* dictionary = nullptr);

// What the zstd contexts of all threads hold now. Threads keep them until they end, compressors of
// more than a few MiB excepted. Dictionaries count their own (Dictionary::memory_bytes).
std::size_t zstd_context_bytes();

}  // namespace varve::codec
