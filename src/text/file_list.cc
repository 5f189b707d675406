#include "text/file_list.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/result.h"
#include "base/utf8.h"

namespace varve::text {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 10> kTextEndings{
    ".md", ".markdown", ".txt", ".text", ".rst", ".html", ".htm", ".adoc", ".org", ".log"};

bool is_wanted(const std::string& name, const std::string& include) {
  if (!include.empty()) return ::fnmatch(include.c_str(), name.c_str(), 0) == 0;
  return std::any_of(kTextEndings.begin(), kTextEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

// Walks one folder. A folder that cannot be read is skipped with its reason.
void list_folder(const fs::path& folder, const std::string& include, FileList& list) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  if (error) {
    list.skipped.push_back({folder.string(), error.message()});
    return;
  }
  const fs::recursive_directory_iterator end;
  while (entry != end) {
    const fs::path path = entry->path();
    const std::string name = path.filename().string();
    const bool hidden = name.starts_with('.');
    if (hidden && entry->is_directory(error)) entry.disable_recursion_pending();
    if (!hidden && entry->is_regular_file(error)) {
      if (is_wanted(name, include)) {
        list.files.push_back(path.lexically_normal().string());
      } else if (include.empty()) {
        list.skipped.push_back({path.lexically_normal().string(), "not a text file by its name"});
      }
    }
    entry.increment(error);
    if (error) {
      list.skipped.push_back({path.string(), error.message()});
      return;
    }
  }
}

}  // namespace

Result<FileList> list_files(const std::vector<std::string>& paths, const std::string& include) {
  FileList list;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) {
      return fail(ErrorKind::not_found, fmt::format("path '{}' not found", path));
    }
    if (fs::is_directory(status)) {
      list_folder(path, include, list);
    } else {
      list.files.push_back(fs::path(path).lexically_normal().string());
    }
  }
  std::sort(list.files.begin(), list.files.end());
  list.files.erase(std::unique(list.files.begin(), list.files.end()), list.files.end());
  return list;
}

Result<std::string> read_text_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return fail(ErrorKind::unavailable, fmt::format("cannot open: {}", std::strerror(errno)));
  std::string text;
  std::array<char, 65536> block{};
  while (in.read(block.data(), block.size()) || in.gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(in.gcount()));
    if (text.size() > kTextFileBytesMax) return fail(ErrorKind::invalid, "larger than 64 MiB");
  }
  if (in.bad()) return fail(ErrorKind::unavailable, "cannot read");
  if (text.find('\0') != std::string::npos) return fail(ErrorKind::invalid, "binary, not text");
  if (!base::is_utf8(text)) return fail(ErrorKind::invalid, "not UTF-8");
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  return text;
}

}  // namespace varve::text
