// Folders of the local store: made on demand, made durable, removed when empty.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sync.h"
#include "store/posix.h"

namespace varve::store {

// "a/b" for "a/b/c", "" for "c": the root.
std::string_view folder_of(std::string_view path);
// "c" for "a/b/c".
std::string_view name_of(std::string_view path);

// Opens `directory`. If it is missing it is created with its parents, or `not_found` without
// `create`.
Result<Fd> open_root(const std::string& directory, bool create);

// A folder and its parents, up to the first whose own name is known to be durable.
struct OpenFolder {
  // Which folder of a name: one that was removed and made again is another. Inode numbers are
  // reused, therefore the time of birth too.
  struct Identity {
    std::uint64_t inode = 0;
    std::int64_t born_seconds = 0;
    std::uint32_t born_nanoseconds = 0;
    bool operator==(const Identity&) const = default;
  };
  struct Level {
    std::string path;
    Fd fd;
    Identity identity;
  };
  std::vector<Level> levels;  // the folder itself first

  int fd() const { return levels.front().fd.get(); }
};

// Thread-safe. Paths are relative to the root; "" is the root.
class Folders {
 public:
  // `root` is borrowed.
  explicit Folders(int root) : root_(root) {}

  int root() const { return root_; }

  // Makes the folder and its parents. `invalid`: an object has the name of one of them.
  Status make(std::string_view folder);

  // Opens the folder, and those parents in which its name may not be durable yet; nullopt if it is
  // gone. Done before a file becomes visible in it, so that afterwards only a sync can fail.
  Result<std::optional<OpenFolder>> open(std::string_view folder);
  // Makes the entries of the folder durable, and its own name in the parents.
  Status sync(const OpenFolder& folder);

  // Removes the folder and then its parents, up to the first that is not empty, never the root.
  void remove_empty(std::string_view folder);

 private:
  bool is_durable(const OpenFolder::Level& level);

  int root_;
  std::mutex mutex_;
  // Folders whose own name is durable. Spares a sync of every parent at every write, also of those
  // that another process made and may not have synced yet.
  std::map<std::string, OpenFolder::Identity> durable_ VARVE_GUARDED_BY(mutex_);
};

}  // namespace varve::store
