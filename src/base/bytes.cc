#include "base/bytes.h"

#include <cstring>
#include <new>
#include <utility>

#include "base/assert.h"

namespace varve::base {

Buffer::Buffer(std::size_t size)
    : data_(static_cast<std::byte*>(
          ::operator new (size == 0 ? 1 : size, std::align_val_t{kBufferAlign}))),
      size_(size) {}

void Buffer::Free::operator()(std::byte* data) const {
  ::operator delete (data, std::align_val_t{kBufferAlign});
}

Bytes::Bytes(Buffer buffer) {
  auto owner = std::make_shared<Buffer>(std::move(buffer));
  span_ = std::as_const(*owner).span();
  owner_ = std::move(owner);
}

Bytes::Bytes(std::string text) {
  auto owner = std::make_shared<const std::string>(std::move(text));
  span_ = as_bytes(*owner);
  owner_ = std::move(owner);
}

Bytes Bytes::copy_of(ByteSpan bytes) {
  Buffer buffer(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return Bytes(std::move(buffer));
}

Bytes Bytes::slice(std::size_t offset, std::size_t size) const {
  VARVE_ASSERT(offset <= span_.size());
  VARVE_ASSERT(size <= span_.size() - offset);
  Bytes part;
  part.owner_ = owner_;
  part.span_ = span_.subspan(offset, size);
  return part;
}

}  // namespace varve::base
