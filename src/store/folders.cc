#include "store/folders.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace varve::store {
namespace {

constexpr std::size_t kDurableMax = 65536;

std::string or_dot(std::string_view folder) { return folder.empty() ? "." : std::string(folder); }

OpenFolder::Identity identify(const Fd& fd) {
  struct statx status {};
  if (::statx(fd.get(), "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) != 0) return {};
  if ((status.stx_mask & STATX_BTIME) == 0) return {};
  return {status.stx_ino, status.stx_btime.tv_sec, status.stx_btime.tv_nsec};
}

// Makes the missing folders of an absolute or relative path and syncs the parent of each.
Status make_path(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0777) != 0) {
    if (errno == EEXIST) return {};
    const int code = errno;
    const std::string parent(folder_of(directory));
    if (code != ENOENT || parent.empty()) {
      return tl::unexpected(system_error(code, "create", directory));
    }
    VARVE_CHECK(make_path(parent));
    if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) {
      return tl::unexpected(system_error(errno, "create", directory));
    }
  }
  const std::string parent = directory.rfind('/') == 0 ? "/" : or_dot(folder_of(directory));
  const Fd fd = open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
  // A parent that may be passed but not read cannot be synced; its owner set the store up.
  if (!fd) return {};
  return sync(fd, parent);
}

}  // namespace

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

Result<Fd> open_root(const std::string& directory, bool create) {
  if (directory.empty()) return fail(ErrorKind::invalid, "the directory of the store is empty");
  std::string path = directory;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  Fd fd = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  if (!fd && errno == ENOENT && !create) {
    return fail(ErrorKind::not_found, fmt::format("store '{}' not found", directory));
  }
  if (!fd && errno == ENOENT) {
    VARVE_CHECK(make_path(path));
    fd = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  }
  if (fd) return fd;
  if (errno == ENOTDIR) return fail(ErrorKind::invalid, fmt::format("{} is no directory", path));
  return tl::unexpected(system_error(errno, "open", path));
}

Status Folders::make(std::string_view folder) {
  const std::string path(folder);
  // Ends: each turn makes one segment, and a name that vanished again is left to the caller's
  // retry.
  for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdirat(root_, part.c_str(), 0777) != 0 && errno != EEXIST) {
      if (errno == ENOENT) return {};
      if (errno == ENOTDIR) {
        return fail(ErrorKind::invalid, fmt::format("{} lies below an object", path));
      }
      return tl::unexpected(system_error(errno, "create", part));
    }
    if (end == std::string::npos) break;
  }
  struct stat status {};
  const bool found = ::fstatat(root_, path.c_str(), &status, 0) == 0;
  if (!found || S_ISDIR(status.st_mode)) return {};
  return fail(ErrorKind::invalid, fmt::format("{} is an object, no folder", path));
}

bool Folders::is_durable(const OpenFolder::Level& level) {
  // A file system without times of birth cannot tell, so it pays for the syncs.
  if (level.identity == OpenFolder::Identity{}) return false;
  std::lock_guard lock(mutex_);
  const auto found = durable_.find(level.path);
  return found != durable_.end() && found->second == level.identity;
}

Result<std::optional<OpenFolder>> Folders::open(std::string_view folder) {
  OpenFolder opened;
  for (;; folder = folder_of(folder)) {
    OpenFolder::Level level{or_dot(folder), {}, {}};
    level.fd = open_at(root_, level.path, O_RDONLY | O_DIRECTORY);
    if (!level.fd && is_missing(errno)) return std::nullopt;
    if (!level.fd) return tl::unexpected(system_error(errno, "open", level.path));
    level.identity = identify(level.fd);
    opened.levels.push_back(std::move(level));
    if (folder.empty() || is_durable(opened.levels.back())) return opened;
  }
}

Status Folders::sync(const OpenFolder& folder) {
  for (const auto& level : folder.levels) VARVE_CHECK(store::sync(level.fd, level.path));
  std::lock_guard lock(mutex_);
  if (durable_.size() > kDurableMax) durable_.clear();
  for (const auto& level : folder.levels) durable_.insert_or_assign(level.path, level.identity);
  return {};
}

void Folders::remove_empty(std::string_view folder) {
  for (; !folder.empty(); folder = folder_of(folder)) {
    if (::unlinkat(root_, std::string(folder).c_str(), AT_REMOVEDIR) != 0) return;
  }
}

}  // namespace varve::store
