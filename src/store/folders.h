// Folders of the local store: made on demand, made durable, removed when empty.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/sync.h"
#include "store/posix.h"

namespace varve::store {

// "a/b" for "a/b/c", "" for "c": the root.
std::string_view folder_of(std::string_view path);

// Opens `directory` and creates it, with its parents, if it is missing.
Result<Fd> open_root(const std::string& directory);

// Thread-safe. Paths are relative to the root; "" is the root.
class Folders {
 public:
  // `root` is borrowed.
  explicit Folders(int root) : root_(root) {}

  int root() const { return root_; }

  // Makes the folder and its parents. `invalid`: an object has the name of one of them.
  Status make(std::string_view folder);

  // Makes the entries of the folder durable, and its own name in the parents.
  Status sync(std::string_view folder);
  // The same; no error if the folder is gone.
  Status sync_if_present(std::string_view folder);

  // Removes the folder and then its parents, up to the first that is not empty, never the root.
  void remove_empty(std::string_view folder);

 private:
  // Which folder of a name: one that was removed and made again is another. Inode numbers are
  // reused, therefore the time of birth too.
  struct Identity {
    std::uint64_t inode = 0;
    std::int64_t born_seconds = 0;
    std::uint32_t born_nanoseconds = 0;
    bool operator==(const Identity&) const = default;
  };
  static Identity identify(const Fd& fd);
  bool is_durable(const std::string& folder, const Identity& identity);

  int root_;
  std::mutex mutex_;
  // Folders whose own name is durable. Spares a sync of every parent at every write, also of those
  // that another process made and may not have synced yet.
  std::map<std::string, Identity> durable_ VARVE_GUARDED_BY(mutex_);
};

}  // namespace varve::store
