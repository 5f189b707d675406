#include "format/coding.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "varve/types.h"

namespace varve::format {
namespace {

// Bytes of the UTF-8 sequence at the front of `text`, 0 if it is none (RFC 3629: no surrogates, no
// longer form than needed, nothing above U+10FFFF).
std::size_t sequence_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  const unsigned a = at(0);
  const unsigned b = at(1);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    if ((a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F)) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    if ((a == 0xF0 && b < 0x90) || (a == 0xF4 && b > 0x8F)) return 0;
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
  const auto is_ascii = [](char c) { return static_cast<signed char>(c) >= 0; };
  if (std::all_of(text.begin(), text.end(), is_ascii)) return true;
  while (!text.empty()) {
    const std::size_t n = sequence_bytes(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

bool is_key(std::string_view text) {
  if (text.empty() || text.size() > kKeyBytesMax) return false;
  return text.find('\0') == std::string_view::npos && is_utf8(text);
}

bool all_zero(base::ByteSpan bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

bool all_finite(std::span<const float> values) {
  // The exponent is all ones in infinities and NaN. No early exit, so that it vectorises.
  std::uint32_t bad = 0;
  for (const float value : values) {
    bad |= (std::bit_cast<std::uint32_t>(value) & 0x7F800000U) == 0x7F800000U ? 1U : 0U;
  }
  return bad == 0;
}

// --- Reader ---

base::ByteSpan Reader::bytes(std::size_t n, std::string_view field) {
  if (!ok()) return {};
  if (n > remaining()) {
    fail(field, "cut off");
    return {};
  }
  const base::ByteSpan result = bytes_.subspan(position_, n);
  position_ += n;
  return result;
}

std::uint64_t Reader::varint(std::string_view field) {
  // Most are one byte.
  if (ok() && remaining() > 0 && std::to_integer<unsigned>(bytes_[position_]) < 0x80) {
    return std::to_integer<std::uint64_t>(bytes_[position_++]);
  }
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = u8(field);
    if (!ok()) return 0;
    if (shift == 63 && byte > 1) break;
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if ((byte & 0x80U) != 0) continue;
    if (byte != 0 || shift == 0) return value;
    break;
  }
  fail(field, "not a varint");
  return 0;
}

std::string_view Reader::text(std::size_t bytes_max, std::string_view field) {
  const std::uint16_t n = u16(field);
  if (n > bytes_max) fail(field, fmt::format("longer than {} bytes", bytes_max));
  return base::as_text(bytes(n, field));
}

Uuid Reader::uuid(std::string_view field) {
  Uuid uuid;
  const base::ByteSpan raw = bytes(uuid.bytes.size(), field);
  if (!raw.empty()) std::memcpy(uuid.bytes.data(), raw.data(), raw.size());
  return uuid;
}

base::Nonce Reader::nonce(std::string_view field) {
  const std::uint64_t high = u64(field);
  return base::Nonce{high, u64(field)};
}

codec::Hash128 Reader::hash128(std::string_view field) {
  const std::uint64_t high = u64(field);
  return codec::Hash128{high, u64(field)};
}

std::uint8_t Reader::choice(std::uint8_t low, std::uint8_t high, std::string_view field) {
  const std::uint8_t value = u8(field);
  if (ok() && (value < low || value > high)) fail(field, fmt::format("unknown value {}", value));
  return value;
}

std::uint32_t Reader::count(std::size_t bytes_min, std::string_view field) {
  const std::uint32_t n = u32(field);
  if (!ok()) return 0;
  if (n > remaining() / bytes_min) {
    fail(field, fmt::format("{} of them do not fit in {} bytes", n, remaining()));
    return 0;
  }
  return n;
}

void Reader::zeros(std::size_t n, std::string_view field) {
  if (!all_zero(bytes(n, field))) fail(field, "not zero");
}

void Reader::fail(std::string_view field, std::string_view what) {
  if (ok()) error_ = fmt::format("{}: {}: {}", context_, field, what);
}

Status Reader::finish() {
  if (ok() && remaining() > 0) fail("end", fmt::format("{} bytes left over", remaining()));
  if (!ok()) return varve::fail(ErrorKind::corrupt, error_);
  return {};
}

// --- Writer ---

Writer::Writer(std::string_view name, std::size_t body_bytes_hint)
    : buffer_(envelope_header_bytes(name) + body_bytes_hint), size_(envelope_header_bytes(name)) {}

std::byte* Writer::extend(std::size_t n) {
  if (n > buffer_.size() - size_) {
    base::Buffer larger(std::max({size_ + n, buffer_.size() * 2, std::size_t{256}}));
    if (size_ > 0) std::memcpy(larger.data(), buffer_.data(), size_);
    buffer_ = std::move(larger);
  }
  std::byte* const end = buffer_.data() + size_;
  size_ += n;
  return end;
}

void Writer::varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) u8(static_cast<std::uint8_t>(value | 0x80U));
  u8(static_cast<std::uint8_t>(value));
}

void Writer::bytes(base::ByteSpan bytes) {
  if (!bytes.empty()) std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
}

void Writer::text(std::string_view text) {
  VARVE_ASSERT(text.size() <= 0xFFFF);
  u16(static_cast<std::uint16_t>(text.size()));
  bytes(base::as_bytes(text));
}

void Writer::nonce(const base::Nonce& nonce) {
  u64(nonce.high);
  u64(nonce.low);
}

void Writer::hash128(const codec::Hash128& hash) {
  u64(hash.high);
  u64(hash.low);
}

base::Bytes Writer::take() {
  const std::size_t size = std::exchange(size_, 0);
  const base::Buffer buffer = std::exchange(buffer_, base::Buffer());
  return base::Bytes::copy_of(buffer.span().first(size));
}

base::Bytes Writer::seal(const Identity& identity) {
  seal_envelope(identity, span());
  const std::size_t size = std::exchange(size_, 0);
  base::Buffer buffer = std::exchange(buffer_, base::Buffer());
  // A guess that was far too large is not kept alive.
  if (buffer.size() - size > size / 4) {
    return base::Bytes::copy_of(std::as_const(buffer).span().first(size));
  }
  return base::Bytes(std::move(buffer)).slice(0, size);
}

}  // namespace varve::format
