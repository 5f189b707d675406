#include "codec/internal/zstd_contexts.h"

#include <zstd.h>

#include <atomic>

#include "base/assert.h"
#include "codec/zstd.h"

namespace varve::codec {
namespace {

constexpr std::size_t kSmallPayloadBytes = std::size_t{64} << 10;
// High levels need hundreds of MiB for large payloads.
constexpr std::size_t kKeptSmallBytes = std::size_t{4} << 20;
constexpr std::size_t kKeptLargeBytes = std::size_t{16} << 20;

std::atomic<std::size_t> all_bytes = 0;

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

struct Contexts {
  std::unique_ptr<ZSTD_CCtx, Free> small, large;
  std::unique_ptr<ZSTD_DCtx, Free> decompressor;
  std::size_t counted = 0;

  Contexts() = default;
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;
  ~Contexts() { all_bytes.fetch_sub(counted, std::memory_order_relaxed); }

  std::unique_ptr<ZSTD_CCtx, Free>& compressor(bool is_small) { return is_small ? small : large; }

  // Unsigned differences wrap, so a shrunk context is taken off.
  void count() {
    const std::size_t now = ZSTD_sizeof_CCtx(small.get()) + ZSTD_sizeof_CCtx(large.get()) +
                            ZSTD_sizeof_DCtx(decompressor.get());
    all_bytes.fetch_add(now - counted, std::memory_order_relaxed);
    counted = now;
  }
};

thread_local Contexts contexts;

}  // namespace

std::size_t zstd_context_bytes() { return all_bytes.load(std::memory_order_relaxed); }

Compressor::Compressor(std::size_t payload_bytes, int level, const Dictionary* dictionary)
    : small_(payload_bytes <= kSmallPayloadBytes) {
  auto& kept = contexts.compressor(small_);
  if (!kept) kept.reset(ZSTD_createCCtx());
  VARVE_ASSERT(kept != nullptr);
  context_ = kept.get();
  ZSTD_CCtx_reset(context_, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
  if (dictionary != nullptr) ZSTD_CCtx_refCDict(context_, dictionary->for_level(level));
}

Compressor::~Compressor() {
  auto& kept = contexts.compressor(small_);
  // It points to a dictionary that the caller may destroy.
  ZSTD_CCtx_refCDict(context_, nullptr);
  if (ZSTD_sizeof_CCtx(context_) > (small_ ? kKeptSmallBytes : kKeptLargeBytes)) kept.reset();
  contexts.count();
}

ZSTD_DCtx* decompressor(const Dictionary* dictionary) {
  auto& kept = contexts.decompressor;
  if (!kept) {
    kept.reset(ZSTD_createDCtx());
    VARVE_ASSERT(kept != nullptr);
    contexts.count();
  }
  ZSTD_DCtx_reset(kept.get(), ZSTD_reset_session_and_parameters);
  if (dictionary != nullptr) ZSTD_DCtx_refDDict(kept.get(), dictionary->for_decoding());
  return kept.get();
}

}  // namespace varve::codec
