#include "codec/internal/zstd_record.h"

// For frames without a magic number: four bytes of each record are saved.
#define ZSTD_STATIC_LINKING_ONLY
#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <cstring>

#include "base/assert.h"
#include "codec/internal/zstd_contexts.h"

namespace varve::codec {
namespace {

constexpr std::size_t kZstdBytesMax = (std::size_t{1} << 31) - 1;

}  // namespace

Packed pack_zstd(base::ByteSpan raw, int level, const Dictionary* dictionary) {
  VARVE_ASSERT(level >= 1);
  VARVE_ASSERT(level <= 22);
  if (raw.size() < 2 || raw.size() > kZstdBytesMax) return std::nullopt;
  const Compressor compressor(raw.size(), level, dictionary);
  ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_format, ZSTD_f_zstd1_magicless);
  ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_contentSizeFlag, 0);
  // What does not fit here is not smaller.
  base::Buffer out(raw.size() - 1);
  const std::size_t n =
      ZSTD_compress2(compressor.get(), out.data(), out.size(), raw.data(), raw.size());
  if (ZSTD_isError(n) != 0) return std::nullopt;
  base::Buffer stored(n);
  std::memcpy(stored.data(), out.data(), n);
  return stored;
}

std::uint32_t dictionary_id(base::ByteSpan stored) {
  ZSTD_frameHeader header;
  const std::size_t rc =
      ZSTD_getFrameHeader_advanced(&header, stored.data(), stored.size(), ZSTD_f_zstd1_magicless);
  return rc == 0 ? header.dictID : 0;
}

Status unpack_zstd(base::ByteSpan stored, std::span<std::byte> out, const Dictionary* dictionary) {
  ZSTD_DCtx* context = decompressor(dictionary);
  ZSTD_DCtx_setParameter(context, ZSTD_d_format, ZSTD_f_zstd1_magicless);
  const std::size_t n =
      ZSTD_decompressDCtx(context, out.data(), out.size(), stored.data(), stored.size());
  if (ZSTD_getErrorCode(n) == ZSTD_error_dictionary_wrong) {
    return fail(ErrorKind::invalid, "zstd record: made with another dictionary");
  }
  if (ZSTD_isError(n) != 0) return corrupt_record("zstd record", ZSTD_getErrorName(n));
  if (n != out.size()) {
    return corrupt_record("zstd record", fmt::format("gave {} bytes, not {}", n, out.size()));
  }
  return {};
}

}  // namespace varve::codec
