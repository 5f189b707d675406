#include "store/posix.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace varve::store {

Fd::~Fd() {
  if (number_ >= 0) ::close(number_);
}

Error system_error(int code, std::string_view action, std::string_view path) {
  const auto say = [&](ErrorKind kind, std::string_view what, std::string hint) {
    return Error{kind, fmt::format("{}: cannot {} {}", what, action, path), std::move(hint)};
  };
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return say(ErrorKind::overloaded, "no space left on device",
                 "free space on the file system of the store, or raise the quota");
    case EACCES:
    case EPERM:
      return say(ErrorKind::invalid, "permission denied",
                 "give this user read and write access to the directory of the store");
    case EROFS:
      return say(ErrorKind::invalid, "read-only file system",
                 "mount it writable; only reads work on it");
    case EMFILE:
    case ENFILE:
      return say(ErrorKind::overloaded, "too many open files", "raise `ulimit -n`");
    case ENAMETOOLONG:
      return say(ErrorKind::invalid, "file name too long", {});
    default:
      return say(ErrorKind::unavailable, std::generic_category().message(code), {});
  }
}

bool is_missing(int code) { return code == ENOENT || code == ENOTDIR; }

Fd open_at(int folder, const std::string& path, int flags, unsigned mode) {
  int number = -1;
  do {
    number = ::openat(folder, path.c_str(), flags | O_CLOEXEC, mode);
  } while (number < 0 && errno == EINTR);
  return Fd(number);
}

Result<std::optional<OpenFile>> open_object(int folder, const std::string& path) {
  OpenFile file{open_at(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK), 0};
  if (!file.fd) {
    const int code = errno;
    // ELOOP: a symbolic link. ENXIO: a socket.
    if (is_missing(code) || code == ELOOP || code == ENXIO) return std::nullopt;
    return tl::unexpected(system_error(code, "open", path));
  }
  struct stat status {};
  if (::fstat(file.fd.get(), &status) != 0) {
    return tl::unexpected(system_error(errno, "stat", path));
  }
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  file.size = static_cast<std::uint64_t>(status.st_size);
  return file;
}

Result<base::Bytes> read_range(const OpenFile& file, std::uint64_t offset, std::uint64_t size,
                               std::string_view path) {
  base::Buffer buffer(size);
  // Ends: each turn reads at least one byte or returns, but for signals.
  for (std::uint64_t done = 0; done < size;) {
    const auto got = ::pread(file.fd.get(), buffer.data() + done, size - done,
                             static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(system_error(errno, "read", path));
    if (got == 0) {
      return fail(ErrorKind::unavailable, fmt::format("{} became shorter while it was read", path),
                  "only Varve may write in the directory of a store");
    }
    done += static_cast<std::uint64_t>(got);
  }
  return base::Bytes(std::move(buffer));
}

Status write_all(const Fd& fd, base::ByteSpan bytes, std::string_view path) {
  while (!bytes.empty()) {
    const auto put = ::write(fd.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return tl::unexpected(system_error(errno, "write", path));
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Status sync(const Fd& fd, std::string_view path) {
  if (::fsync(fd.get()) == 0) return {};
  return tl::unexpected(system_error(errno, "fsync", path));
}

}  // namespace varve::store
