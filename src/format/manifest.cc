#include "format/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/assert.h"
#include "format/coding.h"
#include "format/part.h"
#include "kernels/rotation.h"

namespace varve::format {
namespace {

constexpr std::size_t kLabelBytesMax = 255;  // of bucket and index names
constexpr std::size_t kBlobBytesMin = 27;
constexpr std::size_t kProbeBytes = 16;

void write_blob(Writer& writer, const BlobRef& blob) {
  VARVE_ASSERT(!blob.name.empty());
  VARVE_ASSERT(blob.name.size() <= kNameBytesMax);
  writer.u64(blob.bytes);
  writer.hash128(blob.body_hash);
  writer.text(blob.name);
}

BlobRef read_blob(Reader& reader, std::string_view field) {
  BlobRef blob;
  blob.bytes = reader.u64(field);
  blob.body_hash = reader.hash128(field);
  blob.name = std::string(reader.text(kNameBytesMax, field));
  if (blob.name.empty()) reader.fail(field, "has no name");
  return blob;
}

GroupRef read_group(Reader& reader, const Manifest& manifest) {
  GroupRef group;
  group.blob = read_blob(reader, "group");
  const std::size_t parts = reader.count(kPartBytesMin, "parts of a group");
  group.parts.reserve(parts);
  for (std::size_t i = 0; i < parts && reader.ok(); ++i) {
    const PartRef part = read_part(reader, manifest.dim, group.blob.bytes);
    if (part.id >= manifest.next_part) reader.fail("part id", "not below the next part");
    if (part.cluster >= manifest.next_cluster) reader.fail("cluster", "not below the next cluster");
    if (reader.ok() && has_extra(part) && extra_words_of(part) != manifest.extra_words) {
      reader.fail(section_name(Section::extra, part.id), "has other words than the manifest says");
    }
    group.parts.push_back(part);
  }
  return group;
}

// Whether there are directions, which stand farther behind.
bool read_head(Reader& reader, std::uint16_t version, Manifest& manifest) {
  manifest.dim = reader.u32("dimension");
  if (manifest.dim < 1 || manifest.dim > kDimMax) reader.fail("dimension", "out of range");
  manifest.metric = static_cast<Metric>(reader.choice(1, 2, "metric"));
  manifest.order = static_cast<ClusterOrder>(reader.choice(0, version >= 5 ? 1 : 0, "order"));
  const bool has_directions = reader.choice(0, version >= 5 ? 1 : 0, "has directions") == 1;
  reader.zeros(1, "reserved");
  manifest.seed = reader.u64("seed");
  manifest.next_part = reader.u64("next part");
  manifest.next_cluster = reader.u32("next cluster");
  manifest.extra_words = reader.u32("words of extra bits");
  const std::uint32_t words_a_bit = kernels::rotated_dim(manifest.dim) / 64;
  const bool fits = manifest.extra_words >= words_a_bit && manifest.extra_words <= 7 * words_a_bit;
  const bool may_be = manifest.extra_words == 0 || (fits && version >= 4);
  if (!may_be) reader.fail("words of extra bits", "out of range");
  manifest.live_rows = reader.u64("live rows");
  manifest.stale_rows = reader.u64("stale rows");
  manifest.fitted_rows = reader.u64("fitted rows");
  manifest.bucket = std::string(reader.text(kLabelBytesMax, "bucket"));
  manifest.index = std::string(reader.text(kLabelBytesMax, "index"));
  return has_directions;
}

ProbePoint read_probe(Reader& reader) {
  ProbePoint point;
  point.recall = reader.f32("probe recall");
  point.k = reader.u32("probe k");
  point.nprobe = reader.u32("probe count");
  point.ratio = reader.f32("probe ratio");
  if (std::isnan(point.recall) || std::isnan(point.ratio))
    reader.fail("probe table", "not a number");
  return point;
}

void write_optional(Writer& writer, const std::optional<BlobRef>& blob) {
  writer.u8(blob ? 1 : 0);
  if (blob) write_blob(writer, *blob);
}

std::optional<BlobRef> read_optional(Reader& reader, std::string_view field) {
  if (reader.choice(0, 1, field) == 0) return std::nullopt;
  return read_blob(reader, field);
}

}  // namespace

base::Bytes encode_manifest(const Manifest& manifest, const Uuid& index, std::string_view name,
                            base::Nonce nonce) {
  VARVE_ASSERT(manifest.bucket.size() <= kLabelBytesMax);
  VARVE_ASSERT(manifest.index.size() <= kLabelBytesMax);
  Writer writer(name, 4096);
  writer.u32(manifest.dim);
  writer.u8(static_cast<std::uint8_t>(manifest.metric));
  writer.u8(static_cast<std::uint8_t>(manifest.order));
  writer.u8(manifest.directions ? 1 : 0);
  writer.zeros(1);
  writer.u64(manifest.seed);
  writer.u64(manifest.next_part);
  writer.u32(manifest.next_cluster);
  writer.u32(manifest.extra_words);
  writer.u64(manifest.live_rows);
  writer.u64(manifest.stale_rows);
  writer.u64(manifest.fitted_rows);
  writer.text(manifest.bucket);
  writer.text(manifest.index);
  write_optional(writer, manifest.centroids);
  write_optional(writer, manifest.stale);
  if (manifest.directions) write_blob(writer, *manifest.directions);
  writer.u32(static_cast<std::uint32_t>(manifest.key_map.size()));
  for (const BlobRef& segment : manifest.key_map) write_blob(writer, segment);
  writer.u32(static_cast<std::uint32_t>(manifest.probe_table.size()));
  for (const ProbePoint& point : manifest.probe_table) {
    writer.f32(point.recall);
    writer.u32(point.k);
    writer.u32(point.nprobe);
    writer.f32(point.ratio);
  }
  writer.u32(static_cast<std::uint32_t>(manifest.groups.size()));
  for (const GroupRef& group : manifest.groups) {
    write_blob(writer, group.blob);
    writer.u32(static_cast<std::uint32_t>(group.parts.size()));
    for (const PartRef& part : group.parts) write_part(writer, part);
  }
  std::uint16_t version = manifest.directions ? 5 : manifest.extra_words > 0 ? 4 : 1;
  for (const GroupRef& group : manifest.groups) {
    for (const PartRef& part : group.parts) version = std::max(version, part_version(part));
  }
  if (manifest.order != ClusterOrder::similarity) version = 5;
  return writer.seal(Identity{Kind::manifest, index, std::string(name), nonce, version});
}

Result<Manifest> decode_manifest(const base::Bytes& object, const Uuid& index,
                                 std::string_view name) {
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::manifest, index, name));
  const std::string context = fmt::format("object {}", name);
  Reader reader(envelope.body, context);
  Manifest manifest;
  const bool has_directions = read_head(reader, envelope.identity.version, manifest);
  manifest.centroids = read_optional(reader, "centroids");
  manifest.stale = read_optional(reader, "stale");
  if (has_directions) manifest.directions = read_blob(reader, "directions");
  const std::size_t segments = reader.count(kBlobBytesMin, "key map segments");
  manifest.key_map.reserve(segments);
  for (std::size_t i = 0; i < segments && reader.ok(); ++i) {
    manifest.key_map.push_back(read_blob(reader, "key map segment"));
  }
  const std::size_t probes = reader.count(kProbeBytes, "probe table");
  manifest.probe_table.reserve(probes);
  for (std::size_t i = 0; i < probes && reader.ok(); ++i) {
    manifest.probe_table.push_back(read_probe(reader));
  }
  const std::size_t groups = reader.count(kBlobBytesMin + 4, "groups");
  manifest.groups.reserve(groups);
  for (std::size_t i = 0; i < groups && reader.ok(); ++i) {
    manifest.groups.push_back(read_group(reader, manifest));
  }
  VARVE_CHECK(reader.finish());
  return manifest;
}

}  // namespace varve::format
