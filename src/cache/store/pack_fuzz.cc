// The first byte of an input decides: even, the rest is an object as it stands; odd, the rest is
// the records and index of one, so many bytes of which are the index as the next two bytes say, and
// the trailer with its checksums is made right, so that the fuzzer gets behind them.
#include <cstring>

#include "base/assert.h"
#include "cache/store/pack_sample.h"
#include "codec/checksum.h"

namespace {

using varve::base::ByteSpan;

std::string with_trailer(ByteSpan input) {
  if (input.size() < 4) return {};
  std::uint16_t entries = 0, index_bytes = 0;
  std::memcpy(&entries, input.data(), sizeof(entries));
  std::memcpy(&index_bytes, input.data() + 2, sizeof(index_bytes));
  const ByteSpan body = input.subspan(4);
  if (index_bytes > body.size()) return {};
  const std::uint64_t data_bytes = body.size() - index_bytes;
  std::string object(varve::base::as_text(body));
  std::string trailer = varve::cache::packs::encode_footer({}, data_bytes);
  const std::uint64_t index64 = index_bytes;
  const std::uint32_t entries32 = entries;
  std::memcpy(trailer.data() + 12, &entries32, 4);
  std::memcpy(trailer.data() + 24, &index64, 8);
  const std::uint32_t index_crc = varve::codec::crc32c(body.last(index_bytes));
  std::memcpy(trailer.data() + 56, &index_crc, 4);
  const std::uint32_t crc = varve::codec::crc32c(varve::base::as_bytes(trailer).first(60));
  std::memcpy(trailer.data() + 60, &crc, 4);
  return object + trailer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  if (size == 0) return 0;
  const ByteSpan rest(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  const std::string object =
      data[0] % 2 == 0 ? std::string(base::as_text(rest)) : with_trailer(rest);
  const auto entries = cache::packs::read_pack(base::as_bytes(object), "fuzz");
  if (!entries) return 0;
  // One index has one encoding.
  const std::uint64_t data_bytes =
      entries->empty() ? 0 : entries->back().offset + entries->back().bytes;
  VARVE_ASSERT(cache::packs::encode_footer(*entries, data_bytes) == object.substr(data_bytes));
  for (const auto& entry : *entries) {
    static_cast<void>(
        cache::decode_record(base::as_bytes(object).subspan(entry.offset, entry.bytes)));
  }
  return 0;
}
