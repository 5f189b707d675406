// Files without a disk, and with the faults of one: for tests.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "base/sync.h"
#include "cache/disk/files.h"

namespace varve::cache {

// Thread-safe. Files that were removed stay readable through what was opened, as those of an
// operating system do.
class MemoryFiles final : public FileAccess {
 public:
  enum class Fault {
    none,
    fails,  // an error, nothing done
    part,   // half of the bytes are written, then an error
  };
  // `extend` is a write beyond the end of the file.
  enum class Call { create, reserve, write, extend, cut, sync, remove, open, read, list };
  // Asked before each call; called without a lock.
  using Faults = std::function<Fault(Call)>;

  Status make_folder(const std::string& folder) override;
  Result<std::vector<Entry>> list(const std::string& folder) override;
  Result<std::unique_ptr<File>> open(const std::string& folder, const std::string& name) override;
  Result<std::unique_ptr<File>> create(const std::string& folder, const std::string& name) override;
  Status remove(const std::string& folder, const std::string& name) override;
  Result<std::shared_ptr<void>> lock(const std::string& folder, const std::string& name) override;

  void set_faults(Faults faults);
  // What somebody else may do to the files; names with their folder: "f/00000001.seg".
  std::map<std::string, std::string> contents() const;
  void set_contents(const std::map<std::string, std::string>& contents);  // of no open file
  void change(const std::string& path, const std::function<void(std::string&)>& edit);
  void swap(const std::string& left, const std::string& right);
  void unlink(const std::string& path);

  struct Node;

 private:
  friend class MemoryFile;
  Fault ask(Call call) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Node>> nodes_ VARVE_GUARDED_BY(mutex_);
  std::set<std::string> locks_ VARVE_GUARDED_BY(mutex_);
  Faults faults_ VARVE_GUARDED_BY(mutex_);
};

}  // namespace varve::cache
