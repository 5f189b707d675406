#include "format/envelope.h"

#include <fmt/format.h>

#include <cstring>

#include "base/assert.h"
#include "format/coding.h"

namespace varve::format {
namespace {

constexpr std::string_view kMagic = "VARVE\r\n\x1a";
constexpr std::size_t kFixedBytes = 74;
constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kHeaderAlign = 64;

static_assert(kMagic.size() == 8);

// Checks the header of an object and nothing that was expected of it.
Status read_header(Reader& reader, base::ByteSpan object, Envelope& envelope) {
  if (base::as_text(reader.bytes(kMagic.size(), "magic")) != kMagic) {
    reader.fail("magic", "not a Varve object");
  }
  const std::uint16_t version = reader.u16("format version");
  envelope.identity.version = version;
  if (version < 1 || version > kVersionMax) {
    reader.fail("format version", fmt::format("unknown: {}", version));
  }
  const std::uint16_t kind = reader.u16("kind");
  envelope.header_bytes = reader.u32("header bytes");
  envelope.identity.index = reader.uuid("index uuid");
  envelope.identity.nonce = reader.nonce("nonce");
  envelope.object_bytes = reader.u64("object length");
  envelope.body_hash = reader.hash128("body hash");
  const std::string_view name = reader.text(kNameBytesMax, "own name");
  if (!reader.ok()) return reader.finish();

  if (envelope.header_bytes != envelope_header_bytes(name)) {
    reader.fail("header bytes", "do not fit the name");
  } else if (envelope.header_bytes > object.size()) {
    reader.fail("header", "cut off");
  } else {
    reader.zeros(envelope.header_bytes - kCrcBytes - reader.position(), "header padding");
    const base::ByteSpan header = object.first(envelope.header_bytes - kCrcBytes);
    if (reader.u32("header checksum") != codec::crc32c(header)) {
      reader.fail("header", "checksum mismatch");
    }
  }
  envelope.identity.kind = static_cast<Kind>(kind);
  if (to_string(envelope.identity.kind).empty()) {
    reader.fail("kind", fmt::format("unknown: {}", kind));
  }
  envelope.identity.name = std::string(name);
  return reader.ok() ? Status{} : reader.finish();
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::catalog:
      return "catalog";
    case Kind::head:
      return "head";
    case Kind::manifest:
      return "manifest";
    case Kind::log:
      return "log";
    case Kind::seal:
      return "seal";
    case Kind::group:
      return "group";
    case Kind::centroids:
      return "centroids";
    case Kind::key_map:
      return "key_map";
    case Kind::stale:
      return "stale";
    case Kind::directions:
      return "directions";
    case Kind::retired:
      return "retired";
  }
  return "";
}

std::size_t envelope_header_bytes(std::string_view name) {
  return align_up(kFixedBytes + name.size() + kCrcBytes, kHeaderAlign);
}

void seal_envelope(const Identity& identity, std::span<std::byte> object) {
  const std::size_t header_bytes = envelope_header_bytes(identity.name);
  VARVE_ASSERT(!identity.name.empty());
  VARVE_ASSERT(identity.name.size() <= kNameBytesMax);
  VARVE_ASSERT(object.size() >= header_bytes);
  Writer writer;
  writer.bytes(base::as_bytes(kMagic));
  writer.u16(identity.version);
  writer.u16(static_cast<std::uint16_t>(identity.kind));
  writer.u32(static_cast<std::uint32_t>(header_bytes));
  writer.uuid(identity.index);
  writer.nonce(identity.nonce);
  writer.u64(object.size());
  writer.hash128(codec::hash128(object.subspan(header_bytes)));
  writer.text(identity.name);
  writer.zeros(header_bytes - kCrcBytes - writer.size());
  writer.u32(codec::crc32c(writer.span()));
  std::memcpy(object.data(), writer.span().data(), header_bytes);
}

base::Bytes encode_envelope(const Identity& identity, base::ByteSpan body) {
  Writer writer(identity.name, body.size());
  writer.bytes(body);
  return writer.seal(identity);
}

Result<Envelope> decode_envelope(const base::Bytes& object, const Uuid& index,
                                 std::string_view name) {
  const std::string context = fmt::format("object {}", name);
  Reader reader(object, context);
  Envelope envelope;
  VARVE_CHECK(read_header(reader, object, envelope));
  const auto corrupt = [&](std::string_view what) {
    return fail(ErrorKind::corrupt, fmt::format("{}: {}", context, what));
  };
  if (envelope.object_bytes != object.size()) {
    return corrupt(
        fmt::format("object length: {} recorded, {} found", envelope.object_bytes, object.size()));
  }
  if (envelope.identity.index != index) {
    return corrupt(fmt::format("index uuid: belongs to {}", envelope.identity.index.hex()));
  }
  if (envelope.identity.name != name) return corrupt("own name: is that of another object");
  envelope.body = object.slice(envelope.header_bytes, object.size() - envelope.header_bytes);
  if (codec::hash128(envelope.body) != envelope.body_hash) {
    return corrupt("body: checksum mismatch");
  }
  return envelope;
}

Result<Envelope> decode_envelope(const base::Bytes& object, Kind kind, const Uuid& index,
                                 std::string_view name) {
  VARVE_TRY(Envelope envelope, decode_envelope(object, index, name));
  if (envelope.identity.kind != kind) {
    return fail(ErrorKind::corrupt,
                fmt::format("object {}: kind: {}, expected {}", name,
                            to_string(envelope.identity.kind), to_string(kind)));
  }
  return envelope;
}

}  // namespace varve::format
