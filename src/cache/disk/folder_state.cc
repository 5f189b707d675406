#include "cache/disk/folder_state.h"

#include <fmt/format.h>

namespace varve::cache {
namespace {

constexpr std::size_t kTextMax = 128;

std::string closed_text() { return "varve cache: closed\n"; }
std::string open_text(const std::string& boot) {
  return fmt::format("varve cache: open, boot {}\n", boot);
}

Result<std::string> read_text(FileAccess& files, const std::string& folder) {
  VARVE_TRY(const auto file, files.open(folder, kStateName));
  std::string text(kTextMax, '\0');
  VARVE_TRY(const std::size_t got, file->read(0, std::as_writable_bytes(std::span(text))));
  text.resize(got);
  return text;
}

// One sector, over what was there: no state between the two.
Status write_text(FileAccess& files, const std::string& folder, const std::string& text) {
  auto file = files.open(folder, kStateName);
  if (!file) file = files.create(folder, kStateName);
  if (!file) return tl::unexpected(file.error());
  VARVE_CHECK((*file)->write(0, base::as_bytes(text)));
  VARVE_CHECK((*file)->cut(text.size()));
  return (*file)->sync();
}

}  // namespace

bool is_trusted(FileAccess& files, const std::string& folder) {
  const auto text = read_text(files, folder);
  if (!text) return false;
  const std::string boot = files.boot();
  return *text == closed_text() || (!boot.empty() && *text == open_text(boot));
}

Status note_open(FileAccess& files, const std::string& folder) {
  if (write_text(files, folder, open_text(files.boot()))) return {};
  // Without it the next one trusts nothing.
  return files.remove(folder, kStateName);
}

Status note_closed(FileAccess& files, const std::string& folder) {
  return write_text(files, folder, closed_text());
}

}  // namespace varve::cache
