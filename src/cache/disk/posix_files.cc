#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "cache/disk/files.h"
#include "store/posix.h"

namespace varve::cache {
namespace {

using store::Fd;
using store::system_error;

class PosixFile final : public File {
 public:
  PosixFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const auto got = ::pread(fd_.get(), out.data() + done, out.size() - done,
                               static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read");
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  Status write(std::uint64_t offset, base::ByteSpan bytes) override {
    while (!bytes.empty()) {
      const auto put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failed("write");
      bytes = bytes.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }
  Status reserve(std::uint64_t bytes) override {
    if (::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0) return {};
    // File systems that cannot: a full disk shows at the write.
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return {};
    return failed("allocate");
  }
  Status cut(std::uint64_t bytes) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) == 0) return {};
    return failed("truncate");
  }
  Status sync() override { return store::sync(fd_, path_); }
  Result<std::uint64_t> size() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return failed("stat");
    return static_cast<std::uint64_t>(status.st_size);
  }
  bool is_linked() override {
    struct stat status {};
    return ::fstat(fd_.get(), &status) != 0 || status.st_nlink > 0;
  }

 private:
  tl::unexpected<Error> failed(std::string_view action) const {
    return tl::unexpected(system_error(errno, action, path_));
  }

  Fd fd_;
  std::string path_;
};

// Given back explicitly: a child that was forked meanwhile shares the lock.
struct FileLock {
  explicit FileLock(Fd file) : fd(std::move(file)) {}
  ~FileLock() { ::flock(fd.get(), LOCK_UN); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  Fd fd;
};

std::string join(const std::string& folder, const std::string& name) { return folder + "/" + name; }

class PosixFiles final : public FileAccess {
 public:
  Status make_folder(const std::string& folder) override {
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    if (code) return tl::unexpected(system_error(code.value(), "make", folder));
    return {};
  }

  Result<std::vector<Entry>> list(const std::string& folder) override {
    DIR* stream = ::opendir(folder.c_str());
    if (stream == nullptr) return tl::unexpected(system_error(errno, "list", folder));
    std::vector<Entry> found;
    while (const dirent* entry = ::readdir(stream)) {
      struct stat status {};
      if (::fstatat(::dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (!S_ISREG(status.st_mode)) continue;
      found.push_back({entry->d_name, static_cast<std::uint64_t>(status.st_size)});
    }
    ::closedir(stream);
    return found;
  }

  Result<std::unique_ptr<File>> open(const std::string& folder, const std::string& name) override {
    const std::string path = join(folder, name);
    // Without blocking: somebody may have put a pipe there.
    Fd fd = store::open_at(AT_FDCWD, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    if (!fd && store::is_missing(errno)) return fail(ErrorKind::not_found, "no file " + path);
    if (!fd) return tl::unexpected(system_error(errno, "open", path));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
      return fail(ErrorKind::not_found, path + " is not a file");
    }
    return std::make_unique<PosixFile>(std::move(fd), path);
  }

  Result<std::unique_ptr<File>> create(const std::string& folder,
                                       const std::string& name) override {
    const std::string path = join(folder, name);
    Fd fd = store::open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
    if (!fd && errno == EEXIST) return fail(ErrorKind::conflict, path + " exists already");
    if (!fd && store::is_missing(errno)) return fail(ErrorKind::not_found, "no folder " + folder);
    if (!fd) return tl::unexpected(system_error(errno, "create", path));
    return std::make_unique<PosixFile>(std::move(fd), path);
  }

  Status remove(const std::string& folder, const std::string& name) override {
    const std::string path = join(folder, name);
    if (::unlink(path.c_str()) == 0 || store::is_missing(errno)) return {};
    return tl::unexpected(system_error(errno, "delete", path));
  }

  Status sync_folder(const std::string& folder) override {
    const Fd fd = store::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);
    if (!fd) return tl::unexpected(system_error(errno, "open", folder));
    return store::sync(fd, folder);
  }

  std::string boot() override {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::getline(file, text);
    return text;
  }

  Result<Space> space(const std::string& folder) override {
    struct statvfs status {};
    if (::statvfs(folder.c_str(), &status) != 0) {
      return tl::unexpected(system_error(errno, "measure", folder));
    }
    const std::uint64_t unit = status.f_frsize;
    return Space{status.f_bavail * unit, status.f_blocks * unit};
  }

  Result<std::shared_ptr<void>> lock(const std::string& folder, const std::string& name) override {
    const std::string path = join(folder, name);
    Fd fd = store::open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (!fd) return tl::unexpected(system_error(errno, "lock", path));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return std::make_shared<FileLock>(std::move(fd));
    if (errno != EWOULDBLOCK) return tl::unexpected(system_error(errno, "lock", path));
    return fail(ErrorKind::conflict,
                fmt::format("another process uses the cache folder {}", folder),
                "give each process a folder of its own");
  }
};

}  // namespace

FileAccess& system_files() {
  static PosixFiles files;
  return files;
}

}  // namespace varve::cache
