#include <fmt/format.h>

#include "base/assert.h"
#include "format/blobs.h"
#include "format/coding.h"

namespace varve::format {
namespace {

constexpr std::size_t kLabelBytesMax = 255;  // of bucket and index names
constexpr std::size_t kEntryBytesMin = 20;

void check_label(Reader& reader, std::string_view label, std::string_view field) {
  if (label.empty() || !is_key(label)) reader.fail(field, "not a name");
}

}  // namespace

base::Bytes encode_catalog(const Catalog& catalog, std::string_view name, base::Nonce nonce) {
  VARVE_ASSERT(is_key(catalog.bucket));
  VARVE_ASSERT(catalog.bucket.size() <= kLabelBytesMax);
  Writer writer(name, 64 * (catalog.entries.size() + 1));
  writer.text(catalog.bucket);
  writer.u32(static_cast<std::uint32_t>(catalog.entries.size()));
  std::string_view previous;
  for (const CatalogEntry& entry : catalog.entries) {
    VARVE_ASSERT(previous < entry.index);
    VARVE_ASSERT(is_key(entry.index));
    VARVE_ASSERT(entry.index.size() <= kLabelBytesMax);
    writer.text(entry.index);
    writer.uuid(entry.uuid);
    writer.u8(static_cast<std::uint8_t>(entry.state));
    previous = entry.index;
  }
  return writer.seal(Identity{Kind::catalog, Uuid{}, std::string(name), nonce});
}

Result<Catalog> decode_catalog(const base::Bytes& object, std::string_view name) {
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::catalog, Uuid{}, name));
  const std::string context = fmt::format("object {}", name);
  Reader reader(envelope.body, context);
  Catalog catalog;
  catalog.bucket = std::string(reader.text(kLabelBytesMax, "bucket"));
  check_label(reader, catalog.bucket, "bucket");
  const std::size_t count = reader.count(kEntryBytesMin, "entries");
  catalog.entries.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    CatalogEntry entry;
    entry.index = std::string(reader.text(kLabelBytesMax, "index name"));
    check_label(reader, entry.index, "index name");
    entry.uuid = reader.uuid("index uuid");
    entry.state = static_cast<CatalogState>(reader.choice(1, 2, "index state"));
    if (!catalog.entries.empty() && entry.index <= catalog.entries.back().index) {
      reader.fail("index name", "not in order");
    }
    catalog.entries.push_back(std::move(entry));
  }
  VARVE_CHECK(reader.finish());
  return catalog;
}

}  // namespace varve::format
