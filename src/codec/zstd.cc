#include "codec/zstd.h"

#include <fmt/format.h>
#include <zstd.h>

#include <memory>

#include "base/assert.h"

namespace varve::codec {
namespace {

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// Each thread keeps one context of each kind: making one costs more than a small section. High
// levels need hundreds of MiB, so a compressor that grew past this is not kept.
constexpr std::size_t kKeptCompressorBytes = std::size_t{16} << 20;
thread_local std::unique_ptr<ZSTD_CCtx, FreeCompressor> compressor;
thread_local std::unique_ptr<ZSTD_DCtx, FreeDecompressor> decompressor;

}  // namespace

base::Bytes compress(base::ByteSpan bytes, int level) {
  VARVE_ASSERT(level >= 1);
  VARVE_ASSERT(level <= 22);
  VARVE_ASSERT(bytes.size() < (std::size_t{1} << 31));
  if (!compressor) compressor.reset(ZSTD_createCCtx());
  VARVE_ASSERT(compressor != nullptr);
  ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_checksumFlag, 1);
  base::Buffer out(ZSTD_compressBound(bytes.size()));
  const std::size_t n =
      ZSTD_compress2(compressor.get(), out.data(), out.size(), bytes.data(), bytes.size());
  VARVE_ASSERT(ZSTD_isError(n) == 0);
  if (ZSTD_sizeof_CCtx(compressor.get()) > kKeptCompressorBytes) compressor.reset();
  return base::Bytes::copy_of(out.span().first(n));
}

Result<base::Bytes> decompress(base::ByteSpan frame, std::size_t size) {
  const auto corrupt = [](std::string what) {
    return fail(ErrorKind::corrupt, fmt::format("zstd frame: {}", what));
  };
  const unsigned long long content = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (content == ZSTD_CONTENTSIZE_ERROR) return corrupt("not a frame");
  if (content == ZSTD_CONTENTSIZE_UNKNOWN) return corrupt("content size is not recorded");
  if (content != size) return corrupt(fmt::format("holds {} bytes, not {}", content, size));
  // Without this, a second frame or a skippable one behind the first is taken for part of it.
  const std::size_t frame_bytes = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
  if (ZSTD_isError(frame_bytes) != 0) return corrupt(ZSTD_getErrorName(frame_bytes));
  if (frame_bytes != frame.size()) return corrupt("bytes after the end");

  if (!decompressor) decompressor.reset(ZSTD_createDCtx());
  VARVE_ASSERT(decompressor != nullptr);
  base::Buffer out(size);
  const std::size_t n =
      ZSTD_decompressDCtx(decompressor.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(n) != 0) return corrupt(ZSTD_getErrorName(n));
  if (n != size) return corrupt(fmt::format("gave {} bytes, not {}", n, size));
  return base::Bytes(std::move(out));
}

}  // namespace varve::codec
