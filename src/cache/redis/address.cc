#include "cache/redis/address.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <optional>

namespace varve::cache::redis {
namespace {

tl::unexpected<Error> wrong(std::string_view field, std::string_view why) {
  return fail(ErrorKind::invalid, fmt::format("redis url: {} {}", field, why),
              "redis://[[user]:password@]host[:port][/db] or unix:///path[?db=N]");
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || at != end) return std::nullopt;
  return value;
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto high = hex_digit(text[i + 1]);
    const auto low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    plain += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return plain;
}

Status parse_db(std::string_view text, Address& address) {
  const auto db = number<std::uint32_t>(text);
  if (!db) return wrong("db", "is not a number");
  address.db = *db;
  return {};
}

Status parse_login(std::string_view login, Address& address) {
  const std::size_t colon = login.find(':');
  if (colon == std::string_view::npos) return wrong("password", "is missing: use user:password@");
  const auto user = unescape(login.substr(0, colon));
  if (!user) return wrong("user", "has a broken escape");
  const auto password = unescape(login.substr(colon + 1));
  if (!password) return wrong("password", "has a broken escape");
  if (password->empty()) return wrong("password", "is empty");
  address.user = *user;
  address.password = *password;
  return {};
}

Status parse_host(std::string_view place, Address& address) {
  std::string_view port;
  if (place.starts_with('[')) {
    const std::size_t close = place.find(']');
    if (close == std::string_view::npos) return wrong("host", "has no closing ']'");
    address.host = place.substr(1, close - 1);
    port = place.substr(close + 1);
  } else {
    const std::size_t colon = place.find(':');
    address.host = place.substr(0, colon);
    if (colon != std::string_view::npos) port = place.substr(colon);
  }
  if (address.host.empty()) return wrong("host", "is empty");
  if (address.host.find('\0') != std::string::npos) return wrong("host", "holds a NUL");
  if (port.empty()) return {};
  const auto value = port.front() == ':' ? number<std::uint16_t>(port.substr(1)) : std::nullopt;
  if (!value || *value == 0) return wrong("port", "is not a number from 1 to 65535");
  address.port = *value;
  return {};
}

Result<Address> parse_unix(std::string_view rest) {
  constexpr std::size_t kPathMax = 107;  // sockaddr_un
  Address address;
  const std::size_t query = rest.find('?');
  address.unix_path = rest.substr(0, query);
  const std::string& path = address.unix_path;
  if (!path.starts_with('/')) return wrong("path", "does not begin with '/'");
  if (path.size() > kPathMax) return wrong("path", "is longer than 107 bytes");
  if (path.find('\0') != std::string::npos) return wrong("path", "holds a NUL");
  if (query == std::string_view::npos) return address;
  const std::string_view setting = rest.substr(query + 1);
  if (!setting.starts_with("db=")) return wrong("setting", "after '?' is not db=N");
  VARVE_CHECK(parse_db(setting.substr(3), address));
  return address;
}

}  // namespace

std::string Address::name() const {
  if (!unix_path.empty()) return "unix://" + unix_path;
  return fmt::format("redis://{}:{}/{}", host, port, db);
}

Result<Address> parse_address(std::string_view url) {
  constexpr std::string_view kUnix = "unix://";
  constexpr std::string_view kTcp = "redis://";
  if (url.starts_with(kUnix)) return parse_unix(url.substr(kUnix.size()));
  if (!url.starts_with(kTcp)) return wrong("scheme", "is neither redis:// nor unix://");
  Address address;
  std::string_view rest = url.substr(kTcp.size());
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    VARVE_CHECK(parse_login(rest.substr(0, at), address));
    rest = rest.substr(at + 1);
  }
  const std::size_t slash = rest.find('/');
  VARVE_CHECK(parse_host(rest.substr(0, slash), address));
  if (slash != std::string_view::npos && slash + 1 < rest.size()) {
    VARVE_CHECK(parse_db(rest.substr(slash + 1), address));
  }
  return address;
}

}  // namespace varve::cache::redis
