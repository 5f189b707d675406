#include "store/open.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <mutex>

#include "store/local_store.h"
#include "store/memory_store.h"

namespace varve::store {
namespace {

Result<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const auto digits = text.substr(i + 1, 2);
    unsigned code = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2 || code == 0) {
      return fail(ErrorKind::invalid, fmt::format("file://{}: a % needs two hex digits", text));
    }
    plain += static_cast<char>(code);
    i += 2;
  }
  return plain;
}

// RFC 8089: file:///path or file://localhost/path.
Result<std::string> file_path(std::string_view after_scheme) {
  constexpr std::string_view kLocalhost = "localhost/";
  auto path = after_scheme;
  if (path.starts_with(kLocalhost)) path.remove_prefix(kLocalhost.size() - 1);
  if (!path.starts_with('/')) {
    return fail(ErrorKind::invalid,
                fmt::format("file://{}: the path is not absolute", after_scheme),
                "write file:///srv/data, or the bare path for a relative one");
  }
  return percent_decoded(path);
}

std::shared_ptr<ObjectStore> named_memory_store(const std::string& name, base::Clock& clock) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<ObjectStore>> stores;
  std::lock_guard lock(mutex);
  auto& store = stores[name];
  if (!store) store = make_memory_store(clock);
  return store;
}

}  // namespace

Result<std::shared_ptr<ObjectStore>> open_store(const std::string& uri,
                                                const OpenOptions& options) {
  base::Clock& clock = *options.clock;
  const auto mark = uri.find("://");
  if (mark == std::string::npos) {
    return open_local_store(uri, base::Random::from_entropy(), clock);
  }
  const auto scheme = uri.substr(0, mark);
  const auto rest = uri.substr(mark + 3);
  if (scheme == "file") {
    VARVE_TRY(const auto path, file_path(rest));
    return open_local_store(path, base::Random::from_entropy(), clock);
  }
  if (scheme == "memory") {
    if (rest.empty()) return make_memory_store(clock);
    return named_memory_store(rest, clock);
  }
  return fail(ErrorKind::invalid, fmt::format("unknown scheme in store \"{}\"", uri),
              "use a path, file:///path, memory:// or memory://name");
}

}  // namespace varve::store
