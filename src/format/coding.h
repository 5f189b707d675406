// Bounds-checked little-endian reading and writing, internal to the module.
#pragma once

#include <bit>
#include <concepts>
#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "codec/checksum.h"
#include "format/envelope.h"
#include "format/uuid.h"

namespace varve::format {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie");

inline constexpr std::size_t kNameBytesMax = 1024;
// Of the body hash in every envelope.
inline constexpr std::size_t kBodyHashOffset = 56;

constexpr std::size_t align_up(std::size_t n, std::size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Zigzag: small magnitudes become small numbers. Wraps around, so that every pair of u64 has a
// delta.
constexpr std::uint64_t zigzag(std::uint64_t from, std::uint64_t to) {
  const auto delta = static_cast<std::int64_t>(to - from);
  return (static_cast<std::uint64_t>(delta) << 1) ^ static_cast<std::uint64_t>(delta >> 63);
}
constexpr std::uint64_t unzigzag(std::uint64_t from, std::uint64_t coded) {
  return from + ((coded >> 1) ^ (0 - (coded & 1)));
}

// 1 to kKeyBytesMax bytes of UTF-8 without NUL.
bool is_key(std::string_view text);
bool is_utf8(std::string_view text);
bool all_zero(base::ByteSpan bytes);
// Neither infinite nor NaN.
bool all_finite(std::span<const float> values);

// Reads fields one after the other. The first field that does not fit or fails its check makes the
// reader fail for good: later reads give zeros, and `finish` says what was wrong. So decoders read
// straight on, and check `ok` in loops only.
class Reader {
 public:
  // `context` begins every error and is borrowed.
  Reader(base::ByteSpan bytes, std::string_view context) : bytes_(bytes), context_(context) {}

  template <std::unsigned_integral T>
  T fixed(std::string_view field) {
    T value = 0;
    const base::ByteSpan raw = bytes(sizeof(T), field);
    if (raw.size() == sizeof(T)) std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  std::uint8_t u8(std::string_view field) { return fixed<std::uint8_t>(field); }
  std::uint16_t u16(std::string_view field) { return fixed<std::uint16_t>(field); }
  std::uint32_t u32(std::string_view field) { return fixed<std::uint32_t>(field); }
  std::uint64_t u64(std::string_view field) { return fixed<std::uint64_t>(field); }
  std::int64_t i64(std::string_view field) { return std::bit_cast<std::int64_t>(u64(field)); }
  float f32(std::string_view field) { return std::bit_cast<float>(u32(field)); }
  // LEB128, at most 10 bytes; longer than needed is refused.
  std::uint64_t varint(std::string_view field);
  // Exactly `n` bytes, or none after a failure.
  base::ByteSpan bytes(std::size_t n, std::string_view field);
  // u16 length, then the text.
  std::string_view text(std::size_t bytes_max, std::string_view field);
  Uuid uuid(std::string_view field);
  base::Nonce nonce(std::string_view field);
  codec::Hash128 hash128(std::string_view field);
  // u8 in [low, high].
  std::uint8_t choice(std::uint8_t low, std::uint8_t high, std::string_view field);
  // u32 that can be true: so many elements of at least `bytes_min` each are still to come.
  std::uint32_t count(std::size_t bytes_min, std::string_view field);
  void zeros(std::size_t n, std::string_view field);

  void fail(std::string_view field, std::string_view what);
  bool ok() const { return error_.empty(); }
  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }
  // The error if there was one; else `corrupt` if bytes are left over.
  Status finish();

 private:
  base::ByteSpan bytes_;
  std::string_view context_;
  std::size_t position_ = 0;
  std::string error_;
};

// Appends fields to a growing 64-byte aligned buffer that may begin with space for an envelope.
class Writer {
 public:
  Writer() = default;
  // For an object: leaves space for the header that `name` needs.
  Writer(std::string_view name, std::size_t body_bytes_hint);

  template <std::unsigned_integral T>
  void fixed(T value) {
    std::memcpy(extend(sizeof(T)), &value, sizeof(T));
  }
  void u8(std::uint8_t value) { fixed(value); }
  void u16(std::uint16_t value) { fixed(value); }
  void u32(std::uint32_t value) { fixed(value); }
  void u64(std::uint64_t value) { fixed(value); }
  void i64(std::int64_t value) { fixed(std::bit_cast<std::uint64_t>(value)); }
  void f32(float value) { fixed(std::bit_cast<std::uint32_t>(value)); }
  void varint(std::uint64_t value);
  void bytes(base::ByteSpan bytes);
  // REQUIRES: shorter than 64 KiB.
  void text(std::string_view text);
  void uuid(const Uuid& uuid) { bytes(uuid.bytes); }
  void nonce(const base::Nonce& nonce);
  void hash128(const codec::Hash128& hash);
  void zeros(std::size_t n) { std::memset(extend(n), 0, n); }
  // Zeros up to a multiple of `multiple` of the whole buffer, header space included.
  void align(std::size_t multiple) { zeros(align_up(size_, multiple) - size_); }

  // `n` uninitialised bytes, valid until the next call.
  std::byte* extend(std::size_t n);
  std::size_t size() const { return size_; }
  base::ByteSpan span() const { return buffer_.span().first(size_); }
  std::span<std::byte> span() { return buffer_.span().first(size_); }

  // What was written. The writer is empty then.
  base::Bytes take();
  // Writes the envelope in front and gives the object.
  base::Bytes seal(const Identity& identity);

 private:
  base::Buffer buffer_;
  std::size_t size_ = 0;
};

}  // namespace varve::format
