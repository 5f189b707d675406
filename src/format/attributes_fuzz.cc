#include "format/attributes.h"
#include "format/fuzz.h"

namespace {

using namespace varve;
using namespace varve::format;

void decode_section(const base::Bytes& section, std::uint32_t rows) {
  const auto attributes = Attributes::decode(section, rows, "fuzz");
  if (!attributes) return;
  std::vector<ColumnValues> columns;
  for (std::size_t i = 0; i < attributes->columns().size(); ++i) {
    columns.push_back(attributes->values(i));
  }
  const base::Bytes again = encode_attributes(columns, attributes->summary().complete);
  VARVE_ASSERT(base::as_text(again) == base::as_text(section));
  VARVE_ASSERT(*decode_summary(again, "fuzz") == attributes->summary());
}

// One text on each line.
void encode_texts(std::string_view lines) {
  std::vector<std::string_view> texts;
  for (std::size_t at = 0; at <= lines.size();) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size());
    texts.push_back(lines.substr(at, end - at));
    at = end + 1;
  }
  const base::Bytes section = encode_row_attributes(texts);
  VARVE_ASSERT(
      Attributes::decode(section, static_cast<std::uint32_t>(texts.size()), "fuzz").has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Byte 0: even, a section, with byte 1 for the rows; odd, texts to encode.
  if (size < 2) return 0;
  const base::ByteSpan rest(reinterpret_cast<const std::byte*>(data + 2), size - 2);
  if (data[0] % 2 == 0) {
    decode_section(base::Bytes::copy_of(rest), data[1]);
  } else {
    encode_texts(base::as_text(rest));
  }
  return 0;
}
