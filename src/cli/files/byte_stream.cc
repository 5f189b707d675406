#include "cli/files/byte_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/result.h"
#include "cli/files/decompress.h"

namespace varve::cli {
namespace {

constexpr std::size_t kBufferBytes = 256UL * 1024;

class FdStream final : public ByteStream {
 public:
  FdStream(int fd, std::string name, bool owned) : fd_(fd), name_(std::move(name)), owned_(owned) {}
  ~FdStream() override {
    if (owned_) ::close(fd_);
  }
  FdStream(const FdStream&) = delete;
  FdStream& operator=(const FdStream&) = delete;

  Result<std::size_t> read(std::span<std::byte> out) override {
    // Ends: each turn is one interruption by a signal.
    while (true) {
      const ssize_t count = ::read(fd_, out.data(), out.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno == EINTR) continue;
      return fail(ErrorKind::unavailable,
                  fmt::format("cannot read '{}': {}", name_, std::strerror(errno)));
    }
  }

 private:
  int fd_;
  std::string name_;
  bool owned_;
};

class MemoryStream final : public ByteStream {
 public:
  explicit MemoryStream(std::string bytes) : bytes_(std::move(bytes)) {}

  Result<std::size_t> read(std::span<std::byte> out) override {
    const std::size_t count = std::min(out.size(), bytes_.size() - offset_);
    std::memcpy(out.data(), bytes_.data() + offset_, count);
    offset_ += count;
    return count;
  }

 private:
  std::string bytes_;
  std::size_t offset_ = 0;
};

// The first bytes, which were read to recognise the compression, and then the rest.
class PrefixedStream final : public ByteStream {
 public:
  PrefixedStream(std::string prefix, std::unique_ptr<ByteStream> rest)
      : prefix_(std::move(prefix)), rest_(std::move(rest)) {}

  Result<std::size_t> read(std::span<std::byte> out) override {
    if (offset_ == prefix_.size()) return rest_->read(out);
    const std::size_t count = std::min(out.size(), prefix_.size() - offset_);
    std::memcpy(out.data(), prefix_.data() + offset_, count);
    offset_ += count;
    return count;
  }

 private:
  std::string prefix_;
  std::unique_ptr<ByteStream> rest_;
  std::size_t offset_ = 0;
};

// gzip ends with its size modulo 2^32; a zstd frame usually starts with it.
std::uint64_t decompressed_size_hint(int fd, std::uint64_t file_bytes) {
  std::array<unsigned char, 18> head{};
  const ssize_t count = ::pread(fd, head.data(), head.size(), 0);
  if (count < static_cast<ssize_t>(head.size())) return file_bytes;
  if (head[0] == 0x1f && head[1] == 0x8b) {
    std::array<unsigned char, 4> tail{};
    if (::pread(fd, tail.data(), 4, static_cast<off_t>(file_bytes - 4)) != 4) return 0;
    const std::uint64_t size = tail[0] | std::uint64_t{tail[1]} << 8 |
                               std::uint64_t{tail[2]} << 16 | std::uint64_t{tail[3]} << 24;
    return size >= file_bytes ? size : 0;
  }
  if (head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd) {
    const unsigned long long size = ZSTD_getFrameContentSize(head.data(), head.size());
    return size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ? 0 : size;
  }
  return file_bytes;
}

Result<int> open_for_reading(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    return fail(ErrorKind::invalid, "a file name holds a NUL byte");
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) return fd;
  if (errno == ENOENT || errno == ENOTDIR) {
    return fail(ErrorKind::not_found, fmt::format("file '{}' not found", path));
  }
  return fail(ErrorKind::invalid, fmt::format("cannot open '{}': {}", path, std::strerror(errno)));
}

}  // namespace

Result<OpenedFile> open_bytes(const std::string& path) {
  OpenedFile file;
  if (path == "-") {
    VARVE_TRY(file.bytes,
              decompressed(std::make_unique<FdStream>(STDIN_FILENO, "standard input", false),
                           "standard input"));
    return file;
  }
  VARVE_TRY(const int fd, open_for_reading(path));
  auto raw = std::make_unique<FdStream>(fd, path, true);
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    return fail(ErrorKind::unavailable,
                fmt::format("cannot read '{}': {}", path, std::strerror(errno)));
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(ErrorKind::invalid, fmt::format("'{}' is a folder, not a file", path));
  }
  if (S_ISREG(status.st_mode)) {
    file.size_hint = decompressed_size_hint(fd, static_cast<std::uint64_t>(status.st_size));
  }
  VARVE_TRY(file.bytes, decompressed(std::move(raw), path));
  return file;
}

std::unique_ptr<ByteStream> stream_of_descriptor(int descriptor, const std::string& name,
                                                 std::string read_before) {
  return std::make_unique<PrefixedStream>(std::move(read_before),
                                          std::make_unique<FdStream>(descriptor, name, false));
}

Compression compression_of(std::string_view first_bytes) {
  for (const auto& [magic, kind] : {std::pair(std::string_view("\x1f\x8b"), Compression::gzip),
                                    {"\x28\xb5\x2f\xfd", Compression::zstd},
                                    {std::string_view("\xfd"
                                                      "7zXZ\0",
                                                      6),
                                     Compression::xz}}) {
    if (first_bytes.starts_with(magic)) return kind;
    if (magic.starts_with(first_bytes)) return Compression::unknown;
  }
  return Compression::none;
}

std::unique_ptr<ByteStream> stream_of(std::string bytes) {
  return std::make_unique<MemoryStream>(std::move(bytes));
}

Result<std::unique_ptr<ByteStream>> decompressed(std::unique_ptr<ByteStream> raw,
                                                 const std::string& name) {
  std::array<std::byte, 6> head{};  // as long as the longest magic number
  std::size_t count = 0;
  while (count < head.size()) {
    VARVE_TRY(const std::size_t more, raw->read(std::span(head).subspan(count)));
    if (more == 0) break;
    count += more;
  }
  std::string prefix(reinterpret_cast<const char*>(head.data()), count);
  const Compression compression = compression_of(prefix);
  auto whole = std::make_unique<PrefixedStream>(std::move(prefix), std::move(raw));
  if (compression == Compression::gzip) return gunzip(std::move(whole), name);
  if (compression == Compression::zstd) return unzstd(std::move(whole), name);
  if (compression == Compression::xz) return unxz(std::move(whole), name);
  return whole;
}

ByteReader::ByteReader(std::unique_ptr<ByteStream> bytes, std::string name)
    : bytes_(std::move(bytes)),
      name_(std::move(name)),
      buffer_(std::make_unique<std::byte[]>(kBufferBytes)) {}

Status ByteReader::fill() {
  if (begin_ < end_ || finished_) return {};
  VARVE_TRY(end_, bytes_->read(std::span(buffer_.get(), kBufferBytes)));
  begin_ = 0;
  finished_ = end_ == 0;
  return {};
}

Result<bool> ByteReader::at_end() {
  VARVE_CHECK(fill());
  return begin_ == end_;
}

Result<std::size_t> ByteReader::read(std::span<std::byte> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    VARVE_CHECK(fill());
    if (begin_ == end_) break;
    const std::size_t count = std::min(out.size() - filled, end_ - begin_);
    std::memcpy(out.data() + filled, buffer_.get() + begin_, count);
    begin_ += count;
    filled += count;
  }
  return filled;
}

Result<bool> ByteReader::read_line(std::string& line, std::size_t bytes_max) {
  line.clear();
  VARVE_TRY(const bool empty, at_end());
  if (empty) return false;
  while (true) {
    const auto* from = reinterpret_cast<const char*>(buffer_.get()) + begin_;
    const std::size_t available = end_ - begin_;
    const auto* found = static_cast<const char*>(std::memchr(from, '\n', available));
    const std::size_t count = found ? static_cast<std::size_t>(found - from) : available;
    line.append(from, count);
    begin_ += count + (found ? 1 : 0);
    if (line.size() > bytes_max) return true;
    VARVE_TRY(const bool done, at_end());
    if (found || done) break;
  }
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

}  // namespace varve::cli
