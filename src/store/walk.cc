#include "store/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "store/keys.h"
#include "store/posix.h"

namespace varve::store {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

class Walk {
 public:
  Walk(int root, const WalkRange& range, const std::function<Status()>& go_on)
      : root_(root), range_(range), go_on_(go_on) {}

  // Adds the keys below `folder`, which is empty or ends with a slash.
  // Recursion is bounded: a key has at most 512 bytes, so at most 256 segments.
  Status visit(const std::string& folder) {
    VARVE_CHECK(go_on_());
    VARVE_TRY(const auto names, sorted_names(folder));
    for (const auto& name : names) {
      if (page_.more) return {};
      const std::string path = folder + name;
      if (!may_hold(path)) continue;
      if (path.back() == '/') {
        VARVE_CHECK(visit(path));
      } else {
        add(path);
      }
    }
    return {};
  }

  ListPage take() { return std::move(page_); }

 private:
  // False if neither `path` nor, when it is a folder, anything below it is in the range.
  bool may_hold(std::string_view path) const {
    if (path.size() > kKeyBytesMax) return false;
    if (path.back() != '/') return path.starts_with(range_.prefix) && path > range_.start_after;
    const bool meets = path.starts_with(range_.prefix) || range_.prefix.starts_with(path);
    return meets && (path > range_.start_after || range_.start_after.starts_with(path));
  }

  void add(const std::string& path) {
    struct stat status {};
    // A file that went away meanwhile is no object any more.
    if (::fstatat(root_, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (!S_ISREG(status.st_mode)) return;
    if (page_.entries.size() == range_.limit) {
      page_.more = true;
      return;
    }
    page_.entries.push_back({path, static_cast<std::uint64_t>(status.st_size)});
  }

  // Names in the folder that can be segments; those of folders end with a slash, because keys
  // compare with it: "a-b" < "a/b" < "a0".
  Result<std::vector<std::string>> sorted_names(const std::string& folder) const {
    std::vector<std::string> names;
    Fd fd = open_at(root_, folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) {
      if (is_missing(errno) || errno == ELOOP) return names;
      return tl::unexpected(system_error(errno, "list", folder));
    }
    const std::unique_ptr<DIR, CloseDir> dir(::fdopendir(fd.get()));
    if (!dir) return tl::unexpected(system_error(errno, "list", folder));
    fd.release();
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (!entry) break;
      const std::string_view name = entry->d_name;
      if (!is_segment(name)) continue;
      if (folder.empty() && (name == kTempFolder || name == kLockFolder)) continue;
      const auto type = type_of(folder, *entry);
      if (type == DT_DIR) names.push_back(std::string(name) + '/');
      if (type == DT_REG) names.emplace_back(name);
    }
    if (errno != 0) return tl::unexpected(system_error(errno, "list", folder));
    std::sort(names.begin(), names.end());
    return names;
  }

  unsigned char type_of(const std::string& folder, const dirent& entry) const {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type;
    struct stat status {};
    const std::string path = folder + entry.d_name;
    if (::fstatat(root_, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return DT_UNKNOWN;
    if (S_ISDIR(status.st_mode)) return DT_DIR;
    return S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
  }

  int root_;
  const WalkRange& range_;
  const std::function<Status()>& go_on_;
  ListPage page_;
};

}  // namespace

Result<ListPage> walk(int root, const WalkRange& range, const std::function<Status()>& go_on) {
  // The folders of the prefix are entered at once: their siblings need no look.
  const std::size_t slash = range.prefix.rfind('/');
  const auto folder = slash == std::string_view::npos ? "" : range.prefix.substr(0, slash + 1);
  if (!folder.empty() && !check_key(folder.substr(0, slash))) return ListPage{};
  Walk walk(root, range, go_on);
  VARVE_CHECK(walk.visit(std::string(folder)));
  return walk.take();
}

}  // namespace varve::store
