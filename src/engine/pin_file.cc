#include "engine/pin_file.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>

#include "format/uuid.h"

namespace varve::engine {
namespace {

std::string path_in(const std::string& folder) { return folder + "/pinned-indexes"; }

}  // namespace

Pins read_pins(const std::string& folder, std::int64_t now_ms) {
  Pins pins;
  std::ifstream file(path_in(folder));
  std::string uuid;
  std::int64_t until_ms = 0;
  while (file >> uuid >> until_ms) {
    const bool is_over = until_ms != 0 && until_ms <= now_ms;
    if (!is_over && format::Uuid::from_hex(uuid)) pins[uuid] = until_ms;
  }
  return pins;
}

Status write_pins(const std::string& folder, const Pins& pins) {
  const std::string path = path_in(folder);
  const std::string draft = path + ".new";
  std::ofstream file(draft, std::ios::trunc);
  for (const auto& [uuid, until_ms] : pins) file << uuid << ' ' << until_ms << '\n';
  file.close();
  if (file.good() && std::rename(draft.c_str(), path.c_str()) == 0) return {};
  return fail(ErrorKind::unavailable, fmt::format("file '{}' cannot be written", path),
              "the pin holds for this process only");
}

}  // namespace varve::engine
