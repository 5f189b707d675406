#include "cli/scratch_folder.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace varve::cli {

Result<ScratchFolder> ScratchFolder::make(const std::string& parent) {
  std::error_code failed;
  const std::filesystem::path above =
      parent.empty() ? std::filesystem::temp_directory_path(failed) : std::filesystem::path(parent);
  std::filesystem::create_directories(above, failed);
  std::string path = (above / "varve-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) {
    return fail(ErrorKind::invalid, fmt::format("'{}': no folder can be made in it: {}",
                                                above.string(), std::strerror(errno)));
  }
  return ScratchFolder(std::move(path));
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace varve::cli
