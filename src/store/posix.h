// The few system calls of the local store, with errors as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace varve::store {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Fd();

  int get() const { return number_; }
  // Gives the descriptor up without closing it.
  int release() { return std::exchange(number_, -1); }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// The error for `code` (an errno) of `action` ("write", "open") on `path`. Full disks and
// exhausted descriptors are `overloaded`, missing rights, read-only file systems and names that the
// file system refuses are `invalid`, broken devices `unavailable`.
Error system_error(int code, std::string_view action, std::string_view path);

// True if `code` says that there is no file of that name.
bool is_missing(int code);

// openat(2) with O_CLOEXEC. Empty if it fails, with errno set.
Fd open_at(int folder, const std::string& path, int flags, unsigned mode = 0666);

struct OpenFile {
  Fd fd;
  std::uint64_t size = 0;  // bytes, when it was opened
};
// Opens a regular file for reading; nullopt if there is none: folders, links and pipes are not
// objects. Never blocks on a pipe.
Result<std::optional<OpenFile>> open_object(int folder, const std::string& path);

// Reads exactly `size` bytes at `offset`. REQUIRES: the file was that long when it was opened.
Result<base::Bytes> read_range(const OpenFile& file, std::uint64_t offset, std::uint64_t size,
                               std::string_view path);

Status write_all(const Fd& fd, base::ByteSpan bytes, std::string_view path);

// fsync(2), once: after an error the kernel may have dropped the pages, so a second call on the
// same descriptor would report a success that never was.
Status sync(const Fd& fd, std::string_view path);

}  // namespace varve::store
