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
    full,   // the same, for want of room
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
  Status sync_folder(const std::string& folder) override;
  std::string boot() override;
  Result<Space> space(const std::string& folder) override;
  Result<std::shared_ptr<void>> lock(const std::string& folder, const std::string& name) override;

  void set_faults(Faults faults);
  void set_boot(std::string boot);
  // Of the disk, for the files of all folders; 0: no end. REQUIRES: what they take, at least.
  void set_disk_bytes(std::uint64_t bytes);
  // Others take all that is free but so much.
  void fill_disk(std::uint64_t left_free);
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
  std::uint64_t free_bytes() const;
  std::uint64_t used_bytes() const;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Node>> nodes_ VARVE_GUARDED_BY(mutex_);
  std::set<std::string> locks_ VARVE_GUARDED_BY(mutex_);
  Faults faults_ VARVE_GUARDED_BY(mutex_);
  std::string boot_ VARVE_GUARDED_BY(mutex_) = "first";
  std::uint64_t disk_bytes_ VARVE_GUARDED_BY(mutex_) = 0;
};

}  // namespace varve::cache
