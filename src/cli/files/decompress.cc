#include "cli/files/decompress.h"

#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <vector>

#include "base/assert.h"
#include "base/result.h"

namespace varve::cli {
namespace {

constexpr std::size_t kInputBytes = 128UL * 1024;
// 128 MiB, the window of `zstd --ultra -22`: a header cannot make us allocate more.
constexpr int kZstdWindowLogMax = 27;
// zlib: 15 bits of window, plus 16 to expect the gzip wrapper.
constexpr int kGzipWindowBits = 15 + 16;

// What `xz -9` needs to unpack is 65 MiB.
constexpr std::uint64_t kXzMemoryMax = std::uint64_t{128} << 20;

class GzipStream final : public ByteStream {
 public:
  GzipStream(std::unique_ptr<ByteStream> packed, std::string name)
      : packed_(std::move(packed)), name_(std::move(name)), input_(kInputBytes) {
    VARVE_ASSERT(inflateInit2(&state_, kGzipWindowBits) == Z_OK);
  }
  ~GzipStream() override { inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  Result<std::size_t> read(std::span<std::byte> out) override {
    state_.next_out = reinterpret_cast<Bytef*>(out.data());
    state_.avail_out = static_cast<uInt>(std::min(out.size(), std::size_t{1} << 30));
    const uInt room = state_.avail_out;
    // Ends: each turn consumes input, produces output or returns.
    while (state_.avail_out == room) {
      if (state_.avail_in == 0) {
        VARVE_TRY(const std::size_t count, packed_->read(input_));
        if (count == 0 && between_members_) return std::size_t{0};
        if (count == 0) return damaged("is cut short");
        state_.next_in = reinterpret_cast<Bytef*>(input_.data());
        state_.avail_in = static_cast<uInt>(count);
      }
      if (between_members_) {
        inflateReset(&state_);
        between_members_ = false;
      }
      const int code = inflate(&state_, Z_NO_FLUSH);
      if (code == Z_STREAM_END)
        between_members_ = true;
      else if (code != Z_OK && code != Z_BUF_ERROR)
        return damaged("is damaged");
    }
    return room - state_.avail_out;
  }

 private:
  tl::unexpected<Error> damaged(const char* how) const {
    return fail(ErrorKind::invalid, fmt::format("file '{}': its gzip stream {}", name_, how));
  }

  std::unique_ptr<ByteStream> packed_;
  std::string name_;
  std::vector<std::byte> input_;
  z_stream state_{};
  bool between_members_ = false;
};

class ZstdStream final : public ByteStream {
 public:
  ZstdStream(std::unique_ptr<ByteStream> packed, std::string name)
      : packed_(std::move(packed)),
        name_(std::move(name)),
        input_(kInputBytes),
        state_(ZSTD_createDCtx()) {
    VARVE_ASSERT(state_ != nullptr);
    ZSTD_DCtx_setParameter(state_, ZSTD_d_windowLogMax, kZstdWindowLogMax);
  }
  ~ZstdStream() override { ZSTD_freeDCtx(state_); }
  ZstdStream(const ZstdStream&) = delete;
  ZstdStream& operator=(const ZstdStream&) = delete;

  Result<std::size_t> read(std::span<std::byte> out) override {
    ZSTD_outBuffer produced{out.data(), out.size(), 0};
    // Ends: each turn consumes input, produces output or returns.
    while (produced.pos == 0) {
      if (view_.pos == view_.size) {
        VARVE_TRY(const std::size_t count, packed_->read(input_));
        view_ = {input_.data(), count, 0};
        if (count == 0 && between_frames_) return std::size_t{0};
        // What is decoded but not yet handed out comes first.
        if (count == 0 && !flushable_) return damaged("is cut short");
      }
      const std::size_t code = ZSTD_decompressStream(state_, &produced, &view_);
      if (ZSTD_isError(code)) return damaged("is damaged");
      between_frames_ = code == 0;
      flushable_ = produced.pos == produced.size;
    }
    return produced.pos;
  }

 private:
  tl::unexpected<Error> damaged(const char* how) const {
    return fail(ErrorKind::invalid, fmt::format("file '{}': its zstd stream {}", name_, how));
  }

  std::unique_ptr<ByteStream> packed_;
  std::string name_;
  std::vector<std::byte> input_;
  ZSTD_DCtx* state_;
  ZSTD_inBuffer view_{nullptr, 0, 0};
  bool between_frames_ = false;
  bool flushable_ = false;
};

class XzStream final : public ByteStream {
 public:
  XzStream(std::unique_ptr<ByteStream> packed, std::string name)
      : packed_(std::move(packed)), name_(std::move(name)), input_(kInputBytes) {
    VARVE_ASSERT(lzma_stream_decoder(&state_, kXzMemoryMax, LZMA_CONCATENATED) == LZMA_OK);
  }
  ~XzStream() override { lzma_end(&state_); }
  XzStream(const XzStream&) = delete;
  XzStream& operator=(const XzStream&) = delete;

  Result<std::size_t> read(std::span<std::byte> out) override {
    state_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state_.avail_out = out.size();
    // Ends: each turn consumes input, produces output or returns.
    while (!finished_ && state_.avail_out == out.size()) {
      if (state_.avail_in == 0 && !input_ended_) {
        VARVE_TRY(const std::size_t count, packed_->read(input_));
        state_.next_in = reinterpret_cast<const std::uint8_t*>(input_.data());
        state_.avail_in = count;
        input_ended_ = count == 0;
      }
      const lzma_ret code = lzma_code(&state_, input_ended_ ? LZMA_FINISH : LZMA_RUN);
      if (code == LZMA_STREAM_END) {
        finished_ = true;
      } else if (code == LZMA_BUF_ERROR) {
        return damaged("is cut short");
      } else if (code != LZMA_OK) {
        return damaged("is damaged");
      }
    }
    return out.size() - state_.avail_out;
  }

 private:
  tl::unexpected<Error> damaged(const char* how) const {
    return fail(ErrorKind::invalid, fmt::format("file '{}': its xz stream {}", name_, how));
  }

  std::unique_ptr<ByteStream> packed_;
  std::string name_;
  std::vector<std::byte> input_;
  lzma_stream state_ = LZMA_STREAM_INIT;
  bool input_ended_ = false;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<ByteStream> gunzip(std::unique_ptr<ByteStream> packed, std::string name) {
  return std::make_unique<GzipStream>(std::move(packed), std::move(name));
}
std::unique_ptr<ByteStream> unzstd(std::unique_ptr<ByteStream> packed, std::string name) {
  return std::make_unique<ZstdStream>(std::move(packed), std::move(name));
}
std::unique_ptr<ByteStream> unxz(std::unique_ptr<ByteStream> packed, std::string name) {
  return std::make_unique<XzStream>(std::move(packed), std::move(name));
}

}  // namespace varve::cli
