#include <numeric>

#include "format/fuzz.h"
#include "format/group.h"
#include "format/sections.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  // Byte 0: B or F; bytes 1 and 2: rows; then the section as it is before compression.
  if (size < 3) return 0;
  const std::uint32_t rows = data[1] + 256U * data[2];
  const base::Bytes section =
      base::Bytes::copy_of({reinterpret_cast<const std::byte*>(data + 3), size - 3});
  if (data[0] % 2 == 0) {
    const auto ids = RowIds::decode(section, rows, "fuzz");
    if (!ids) return 0;
    VARVE_ASSERT(ids->resident_bytes() <= 64 + 32 * section.size());
    std::vector<std::string_view> keys;
    std::vector<Lsn> lsns;
    for (std::size_t i = 0; i < ids->size(); ++i) {
      keys.push_back(ids->key(i));
      lsns.push_back(ids->lsn(i));
      VARVE_ASSERT(is_key(keys.back()));
    }
    // Numbers may also stand as text, so that the bytes may differ, but not what they say.
    const auto again = RowIds::decode(encode_row_ids(keys, lsns), rows, "fuzz");
    VARVE_ASSERT(again.has_value());
    for (std::size_t i = 0; i < ids->size(); ++i) {
      VARVE_ASSERT(again->key(i) == keys[i]);
      VARVE_ASSERT(again->lsn(i) == lsns[i]);
    }
  } else {
    const auto metadata = RowMetadata::decode(section, rows, "fuzz");
    std::size_t bytes = 0;
    for (std::uint32_t i = 0; metadata && i < rows; ++i) bytes += metadata->at(i).size();
    VARVE_ASSERT(bytes <= section.size());
  }
  return 0;
}
