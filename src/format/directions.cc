#include <fmt/format.h>

#include "base/assert.h"
#include "format/blobs.h"
#include "format/coding.h"
#include "kernels/rotation.h"
#include "varve/types.h"

namespace varve::format {
namespace {
constexpr std::size_t kValuesAlign = 64;
}

base::Bytes encode_directions(const kernels::Directions& directions, const Uuid& index,
                              std::string_view name, base::Nonce nonce) {
  VARVE_ASSERT(directions.count() > 0);
  const auto values = std::as_bytes(directions.values());
  Writer writer(name, kValuesAlign + values.size());
  writer.u32(directions.padded_dim());
  writer.u32(directions.count());
  writer.align(kValuesAlign);
  writer.bytes(values);
  return writer.seal(Identity{Kind::directions, index, std::string(name), nonce, 5});
}

Result<kernels::Directions> decode_directions(const base::Bytes& object, std::uint32_t dim,
                                              const Uuid& index, std::string_view name) {
  VARVE_ASSERT(dim >= 1);
  VARVE_ASSERT(dim <= kDimMax);
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::directions, index, name));
  const std::string context = fmt::format("object {}", name);
  Reader reader(envelope.body, context);
  const std::uint32_t width = reader.u32("rotated dimension");
  if (width != kernels::rotated_dim(dim)) {
    reader.fail("rotated dimension",
                fmt::format("{}, expected {}", width, kernels::rotated_dim(dim)));
  }
  const std::uint32_t count = reader.u32("directions");
  if (count == 0 || count > kernels::kDirectionsMax || count % kernels::kDirectionsStep != 0) {
    reader.fail("directions", fmt::format("{} of them", count));
  }
  reader.zeros(align_up(reader.position(), kValuesAlign) - reader.position(), "padding");
  const std::size_t bytes = reader.ok() ? std::size_t{count} * width * sizeof(std::int16_t) : 0;
  const base::ByteSpan stored = reader.bytes(bytes, "values");
  VARVE_CHECK(reader.finish());
  std::vector<std::int16_t> values(std::size_t{count} * width);
  std::memcpy(values.data(), stored.data(), stored.size());
  for (std::uint32_t k = 0; k < count; ++k) {
    if (kernels::Directions::is_length(std::span(values).subspan(std::size_t{k} * width, width))) {
      continue;
    }
    return fail(ErrorKind::corrupt,
                fmt::format("{}: values: direction {} has another length", context, k));
  }
  return kernels::Directions(width, std::move(values));
}

}  // namespace varve::format
