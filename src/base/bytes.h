// Owned, shared and borrowed bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace varve::base {

using ByteSpan = std::span<const std::byte>;

// Alignment of every buffer that holds rows: one cache line, one 512-bit vector.
inline constexpr std::size_t kBufferAlign = 64;

// A writable block on a 64-byte boundary, released on destruction. Movable, not copyable.
// Contents start undefined.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::span<std::byte> span() { return {data_.get(), size_}; }
  ByteSpan span() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

// Immutable bytes with shared ownership: copying shares, `slice` keeps the whole block alive.
class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(Buffer buffer);
  explicit Bytes(std::string text);
  static Bytes copy_of(ByteSpan bytes);

  const std::byte* data() const { return span_.data(); }
  std::size_t size() const { return span_.size(); }
  bool empty() const { return span_.empty(); }
  ByteSpan span() const { return span_; }
  operator ByteSpan() const { return span_; }  // NOLINT: borrowing is always fine
  // REQUIRES: offset + size <= this->size().
  Bytes slice(std::size_t offset, std::size_t size) const;

 private:
  std::shared_ptr<const void> owner_;
  ByteSpan span_;
};

inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace varve::base
