// zstd contexts that a thread keeps. Making one costs more than a small payload, and a one-shot
// call 25 times what a kept context does.
#pragma once

#include <cstddef>
#include <memory>

#include "codec/dictionary.h"

using ZSTD_CCtx = struct ZSTD_CCtx_s;
using ZSTD_DCtx = struct ZSTD_DCtx_s;

namespace varve::codec {

// The calling thread's compressor for payloads of this size, in its default state; back in its
// place on destruction. Small payloads have one of their own, so that what it holds stays small: at
// level 19 a payload of 6 KB needs 0.4 MB, one of unknown size 85 MB. A compressor that grew past
// what is kept is freed instead. REQUIRES: not two at once in a thread.
class Compressor {
 public:
  // `dictionary`, if not null, is used at `level`.
  Compressor(std::size_t payload_bytes, int level, const Dictionary* dictionary);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  ZSTD_CCtx* get() const { return context_; }

 private:
  bool small_;
  ZSTD_CCtx* context_;
};

// The calling thread's decompressor, in its default state but for the dictionary.
ZSTD_DCtx* decompressor(const Dictionary* dictionary);

}  // namespace varve::codec
