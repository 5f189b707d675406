#include <fmt/format.h>

#include "base/assert.h"
#include "format/blobs.h"
#include "format/coding.h"

namespace varve::format {

base::Bytes encode_retired(std::span<const std::string> names, const Uuid& index,
                           std::string_view name, base::Nonce nonce) {
  Writer writer(name, 1024);
  writer.u32(static_cast<std::uint32_t>(names.size()));
  for (const std::string& retired : names) {
    VARVE_ASSERT(!retired.empty());
    VARVE_ASSERT(retired.size() <= kNameBytesMax);
    writer.text(retired);
  }
  return writer.seal(Identity{Kind::retired, index, std::string(name), nonce});
}

Result<std::vector<std::string>> decode_retired(const base::Bytes& object, const Uuid& index,
                                                std::string_view name) {
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::retired, index, name));
  const std::string context = fmt::format("object {}", name);
  Reader reader(envelope.body, context);
  const std::size_t count = reader.count(3, "names");
  std::vector<std::string> names;
  names.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    names.emplace_back(reader.text(kNameBytesMax, "name"));
    if (names.back().empty()) reader.fail("name", "is empty");
  }
  VARVE_CHECK(reader.finish());
  return names;
}

}  // namespace varve::format
