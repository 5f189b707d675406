#include "codec/zstd.h"

#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <optional>

#include "base/assert.h"
#include "codec/internal/zstd_contexts.h"

namespace varve::codec {
namespace {

tl::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("zstd frame: {}", what));
}

Status check_frame(base::ByteSpan frame, std::size_t size) {
  const unsigned long long content = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (content == ZSTD_CONTENTSIZE_ERROR) return corrupt("not a frame");
  if (content == ZSTD_CONTENTSIZE_UNKNOWN) return corrupt("content size is not recorded");
  if (content != size) return corrupt(fmt::format("holds {} bytes, not {}", content, size));
  // Without this, a second frame or a skippable one behind the first is taken for part of it.
  const std::size_t frame_bytes = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
  if (ZSTD_isError(frame_bytes) != 0) return corrupt(ZSTD_getErrorName(frame_bytes));
  if (frame_bytes != frame.size()) return corrupt("bytes after the end");
  return {};
}

}  // namespace

base::Bytes compress(base::ByteSpan bytes, int level, const Dictionary* dictionary) {
  VARVE_ASSERT(level >= 1);
  VARVE_ASSERT(level <= 22);
  VARVE_ASSERT(bytes.size() < (std::size_t{1} << 31));
  const Compressor compressor(bytes.size(), level, dictionary);
  ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_checksumFlag, 1);
  base::Buffer out(ZSTD_compressBound(bytes.size()));
  const std::size_t n =
      ZSTD_compress2(compressor.get(), out.data(), out.size(), bytes.data(), bytes.size());
  VARVE_ASSERT(ZSTD_isError(n) == 0);
  return base::Bytes::copy_of(out.span().first(n));
}

Status decompress_into(base::ByteSpan frame, std::span<std::byte> out,
                       const Dictionary* dictionary) {
  VARVE_CHECK(check_frame(frame, out.size()));
  const std::size_t n = ZSTD_decompressDCtx(decompressor(dictionary), out.data(), out.size(),
                                            frame.data(), frame.size());
  if (ZSTD_getErrorCode(n) == ZSTD_error_dictionary_wrong) {
    return fail(ErrorKind::invalid,
                fmt::format("zstd frame: needs the dictionary with id {}",
                            ZSTD_getDictID_fromFrame(frame.data(), frame.size())));
  }
  if (ZSTD_isError(n) != 0) return corrupt(ZSTD_getErrorName(n));
  if (n != out.size()) return corrupt(fmt::format("gave {} bytes, not {}", n, out.size()));
  return {};
}

Result<base::Bytes> decompress(base::ByteSpan frame, std::size_t size,
                               const Dictionary* dictionary) {
  VARVE_CHECK(check_frame(frame, size));
  base::Buffer out(size);
  VARVE_CHECK(decompress_into(frame, out.span(), dictionary));
  return base::Bytes(std::move(out));
}

std::vector<base::Bytes> compress_all(std::span<const base::ByteSpan> parts, int level,
                                      base::Pool& pool, const Dictionary* dictionary) {
  std::vector<base::Bytes> frames(parts.size());
  pool.parallel_for(parts.size(),
                    [&](std::size_t i) { frames[i] = compress(parts[i], level, dictionary); });
  return frames;
}

Result<std::vector<base::Bytes>> decompress_all(std::span<const SizedFrame> frames,
                                                base::Pool& pool, const Dictionary* dictionary) {
  std::vector<std::optional<Result<base::Bytes>>> results(frames.size());
  pool.parallel_for(frames.size(), [&](std::size_t i) {
    results[i] = decompress(frames[i].frame, frames[i].size, dictionary);
  });
  std::vector<base::Bytes> parts;
  for (auto& result : results) {
    VARVE_TRY(base::Bytes part, std::move(*result));
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace varve::codec
