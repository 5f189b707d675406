// Which files a list of paths means, and the text that is in one.
#pragma once

#include <string>
#include <vector>

#include "varve/text.h"

namespace varve::text {

// Larger files are no prose; they are skipped with a reason.
inline constexpr std::size_t kTextFileBytesMax = 64UL * 1024 * 1024;

struct FileList {
  std::vector<std::string> files;  // sorted, each once
  std::vector<SkippedFile> skipped;
};

// Files stand for themselves; folders for the files below them whose name is that of a text file,
// or matches `include`. Names that begin with a dot are left out. `not_found`: no such path.
Result<FileList> list_files(const std::vector<std::string>& paths, const std::string& include);

// The bytes of a file. `invalid`: too large or no text; `unavailable`: it cannot be read. The
// message has no file name.
Result<std::string> read_text_file(const std::string& file);

}  // namespace varve::text
