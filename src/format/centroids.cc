#include <fmt/format.h>

#include "base/assert.h"
#include "format/blobs.h"
#include "format/coding.h"
#include "varve/types.h"

namespace varve::format {
namespace {
constexpr std::size_t kValuesAlign = 64;
}

base::Bytes encode_centroids(const Centroids& centroids, const Uuid& index, std::string_view name,
                             base::Nonce nonce) {
  VARVE_ASSERT(centroids.values.size() == centroids.clusters.size() * centroids.dim);
  Writer writer(name, 2 * kValuesAlign + centroids.clusters.size() * sizeof(std::uint32_t) +
                          centroids.values.size() * sizeof(float));
  writer.u32(centroids.dim);
  writer.u32(static_cast<std::uint32_t>(centroids.clusters.size()));
  writer.bytes(std::as_bytes(std::span(centroids.clusters)));
  writer.align(kValuesAlign);
  writer.bytes(std::as_bytes(std::span(centroids.values)));
  return writer.seal(Identity{Kind::centroids, index, std::string(name), nonce});
}

Result<Centroids> decode_centroids(const base::Bytes& object, std::uint32_t dim, const Uuid& index,
                                   std::string_view name) {
  VARVE_ASSERT(dim >= 1);
  VARVE_ASSERT(dim <= kDimMax);
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::centroids, index, name));
  const std::string context = fmt::format("object {}", name);
  Reader reader(envelope.body, context);
  Centroids centroids;
  centroids.dim = reader.u32("dimension");
  if (centroids.dim != dim) {
    reader.fail("dimension", fmt::format("{}, expected {}", centroids.dim, dim));
  }
  const std::size_t count = reader.count(sizeof(std::uint32_t) + dim * sizeof(float), "centroids");
  const base::ByteSpan clusters = reader.bytes(count * sizeof(std::uint32_t), "clusters");
  reader.zeros(align_up(reader.position(), kValuesAlign) - reader.position(), "padding");
  const base::ByteSpan values = reader.bytes(count * dim * sizeof(float), "values");
  VARVE_CHECK(reader.finish());
  centroids.clusters.resize(count);
  centroids.values.resize(count * dim);
  if (count > 0) {
    std::memcpy(centroids.clusters.data(), clusters.data(), clusters.size());
    std::memcpy(centroids.values.data(), values.data(), values.size());
  }
  if (!all_finite(centroids.values)) {
    return fail(ErrorKind::corrupt, fmt::format("{}: values: one is not finite", context));
  }
  return centroids;
}

}  // namespace varve::format
