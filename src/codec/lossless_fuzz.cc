#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/assert.h"
#include "codec/lossless.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  // Byte 0: the method; bytes 1 and 2: the raw size; then a record. The record also goes there and
  // back as if it were values.
  if (size < 3) return 0;
  const base::ByteSpan record(reinterpret_cast<const std::byte*>(data + 3), size - 3);
  const auto method = codec::method_of(data[0] % codec::kMethods);
  base::Buffer out(data[1] + 256U * data[2]);
  (void)codec::decode(*method, record, out.span());

  const codec::EncodeOptions options{data[0] % 2 == 0, data[0] % 4, nullptr};
  const codec::Encoded encoded = codec::encode(record, options);
  VARVE_ASSERT(encoded.bytes.size() <= record.size());
  base::Buffer back(record.size());
  VARVE_ASSERT(codec::decode(encoded.method, encoded.bytes, back.span()).has_value());
  VARVE_ASSERT(base::as_text(std::as_const(back).span()) == base::as_text(record));
  return 0;
}
