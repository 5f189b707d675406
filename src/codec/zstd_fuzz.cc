#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/assert.h"
#include "codec/zstd.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  // Bytes 0 and 1: the size that is expected; then a frame. The same bytes also go there and back.
  if (size < 2) return 0;
  const base::ByteSpan frame(reinterpret_cast<const std::byte*>(data + 2), size - 2);
  (void)codec::decompress(frame, data[0] + 256U * data[1]);
  const base::Bytes packed = codec::compress(frame, 1 + data[0] % 9);
  const auto back = codec::decompress(packed, frame.size());
  VARVE_ASSERT(back.has_value());
  VARVE_ASSERT(base::as_text(*back) == base::as_text(frame));
  return 0;
}
