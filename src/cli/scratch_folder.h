// A folder for as long as a measurement takes.
#pragma once

#include <string>
#include <utility>

#include "varve/result.h"

namespace varve::cli {

// A new folder below `parent`, or below that for temporary files; removed with all that is in it.
class ScratchFolder {
 public:
  // `invalid`: it cannot be made.
  static Result<ScratchFolder> make(const std::string& parent);
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();

  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace varve::cli
