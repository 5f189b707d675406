// Files as the disk tier uses them, so that tests run without any and with faults.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace varve::cache {

// An open file, also after somebody deleted it. Thread-safe.
class File {
 public:
  virtual ~File() = default;

  // Fills `out` from `offset` on; fewer bytes only at the end of the file. There is no mapping on
  // purpose: whoever truncates a mapped file kills its readers (decision record 0012).
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> out) = 0;
  // After an error any part of the range may have been written.
  virtual Status write(std::uint64_t offset, base::ByteSpan bytes) = 0;
  // Claims room for so many bytes without changing the size. `overloaded`: the disk is full.
  virtual Status reserve(std::uint64_t bytes) = 0;
  // Cuts the file, and gives back what was reserved behind.
  virtual Status cut(std::uint64_t bytes) = 0;
  virtual Status sync() = 0;
  virtual Result<std::uint64_t> size() = 0;
  // False: nobody can open it again.
  virtual bool is_linked() = 0;
};

// The files of one folder. Thread-safe.
class FileAccess {
 public:
  struct Entry {
    std::string name;
    std::uint64_t bytes = 0;
  };

  virtual ~FileAccess() = default;
  virtual Status make_folder(const std::string& folder) = 0;
  // Regular files only. REQUIRES: the folder exists.
  virtual Result<std::vector<Entry>> list(const std::string& folder) = 0;
  // For reading and writing. `not_found`, `conflict`: it exists not, or already.
  virtual Result<std::unique_ptr<File>> open(const std::string& folder,
                                             const std::string& name) = 0;
  virtual Result<std::unique_ptr<File>> create(const std::string& folder,
                                               const std::string& name) = 0;
  // A missing file is no error.
  virtual Status remove(const std::string& folder, const std::string& name) = 0;
  // What was removed stays so after a power failure.
  virtual Status sync_folder(const std::string& folder) = 0;
  // Another text each time the machine starts; empty: it cannot be told.
  virtual std::string boot() = 0;
  struct Space {
    std::uint64_t free = 0;  // for this user
    std::uint64_t all = 0;   // size of the file system
  };
  virtual Result<Space> space(const std::string& folder) = 0;
  // Held until destruction; `conflict`: somebody else has it. Ends with the process.
  virtual Result<std::shared_ptr<void>> lock(const std::string& folder,
                                             const std::string& name) = 0;
};

// Those of the operating system, one for the process.
FileAccess& system_files();

}  // namespace varve::cache
