#include "format/uuid.h"

#include <fmt/format.h>

#include <cstring>

namespace varve::format {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string Uuid::hex() const {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

Uuid Uuid::random(base::Random& random) {
  Uuid uuid;
  const std::uint64_t words[2] = {random.next(), random.next()};
  std::memcpy(uuid.bytes.data(), words, sizeof words);
  // RFC 9562: version 4, variant 10.
  uuid.bytes[6] = (uuid.bytes[6] & std::byte{0x0F}) | std::byte{0x40};
  uuid.bytes[8] = (uuid.bytes[8] & std::byte{0x3F}) | std::byte{0x80};
  return uuid;
}

Result<Uuid> Uuid::from_hex(std::string_view text) {
  Uuid uuid;
  if (text.size() != 2 * uuid.bytes.size()) {
    return fail(ErrorKind::invalid, "uuid is not 32 hex characters");
  }
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return fail(ErrorKind::invalid, "uuid is not 32 hex characters");
    uuid.bytes[i] = static_cast<std::byte>(high * 16 + low);
  }
  return uuid;
}

}  // namespace varve::format
