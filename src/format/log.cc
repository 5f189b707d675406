#include "format/log.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "format/coding.h"
#include "varve/types.h"

namespace varve::format {
namespace {

constexpr std::size_t kBatchHeaderBytes = 64;
constexpr std::size_t kOpHeaderBytes = 12;
constexpr std::size_t kOpBytesMin = 16;  // a header, a key of one byte, padding
constexpr std::size_t kAlign = sizeof(float);

std::size_t op_bytes(const LogOp& op) {
  return align_up(
      kOpHeaderBytes + op.vector.size() * sizeof(float) + op.key.size() + op.metadata.size(),
      kAlign);
}

void write_op(Writer& writer, const LogOp& op, std::uint32_t dim) {
  VARVE_ASSERT(op.vector.size() == (op.kind == OpKind::upsert ? dim : 0));
  VARVE_ASSERT(op.kind == OpKind::upsert || op.metadata.empty());
  VARVE_ASSERT(!op.key.empty());
  VARVE_ASSERT(op.key.size() <= kKeyBytesMax);
  VARVE_ASSERT(op.metadata.size() <= kMetadataBytesMax);
  const std::size_t begin = writer.size();
  writer.u32(0);  // the checksum, below
  writer.u8(static_cast<std::uint8_t>(op.kind));
  writer.u8(0);
  writer.u16(static_cast<std::uint16_t>(op.key.size()));
  writer.u32(static_cast<std::uint32_t>(op.metadata.size()));
  writer.bytes(std::as_bytes(op.vector));
  writer.bytes(base::as_bytes(op.key));
  writer.bytes(base::as_bytes(op.metadata));
  writer.align(kAlign);
  const std::span<std::byte> written = writer.span().subspan(begin);
  const std::uint32_t crc = codec::crc32c(written.subspan(sizeof(std::uint32_t)));
  std::memcpy(written.data(), &crc, sizeof crc);
}

// `body` stands on a 4-byte boundary, and so does the reader.
LogOp read_op(Reader& reader, base::ByteSpan body, std::uint32_t dim, std::size_t number) {
  constexpr std::string_view kField = "operation";
  // Names are made for errors only.
  const auto refuse = [&](std::string_view what) {
    reader.fail(fmt::format("operation {}", number), what);
  };
  LogOp op;
  const std::uint32_t crc = reader.u32(kField);
  const std::size_t begin = reader.position();
  op.kind = static_cast<OpKind>(reader.choice(1, 2, kField));
  reader.zeros(1, kField);
  const std::uint16_t key_bytes = reader.u16(kField);
  const std::uint32_t metadata_bytes = reader.u32(kField);
  if (op.kind == OpKind::upsert) {
    const base::ByteSpan raw = reader.bytes(dim * sizeof(float), kField);
    op.vector = {reinterpret_cast<const float*>(raw.data()), raw.size() / sizeof(float)};
  }
  op.key = base::as_text(reader.bytes(key_bytes, kField));
  if (metadata_bytes > kMetadataBytesMax) refuse("metadata is too long");
  op.metadata = base::as_text(reader.bytes(metadata_bytes, kField));
  reader.zeros(align_up(reader.position(), kAlign) - reader.position(), kField);
  if (!reader.ok()) return op;

  if (codec::crc32c(body.subspan(begin, reader.position() - begin)) != crc) {
    refuse("checksum mismatch");
  }
  if (op.kind == OpKind::remove && metadata_bytes > 0) refuse("removes with metadata");
  if (!is_key(op.key)) refuse("key is not 1 to 1024 bytes of UTF-8 without NUL");
  if (!all_finite(op.vector)) refuse("vector has a value that is not finite");
  return op;
}

void check_position(Reader& reader, LogPosition found, LogPosition expected) {
  if (found == expected) return;
  reader.fail("position", fmt::format("{}.{}, expected {}.{}", found.epoch, found.seq,
                                      expected.epoch, expected.seq));
}

Result<LogEntry> read_batch(const Envelope& envelope, LogPosition position, std::uint32_t dim,
                            std::string_view context) {
  Reader reader(envelope.body, context);
  LogBatch batch;
  batch.bytes = envelope.body;
  batch.nonce = envelope.identity.nonce;
  batch.position.epoch = reader.u64("epoch");
  batch.position.seq = reader.u64("seq");
  check_position(reader, batch.position, position);
  const base::ByteSpan previous = reader.bytes(batch.previous.size(), "previous sha256");
  std::copy(previous.begin(), previous.end(), batch.previous.begin());
  const std::uint32_t stored_dim = reader.u32("dimension");
  if (stored_dim != dim) {
    reader.fail("dimension", fmt::format("{}, expected {}", stored_dim, dim));
  }
  const std::uint32_t stored_ops = reader.u32("operations");
  reader.zeros(8, "reserved");
  if (stored_ops > reader.remaining() / kOpBytesMin) {
    reader.fail("operations", fmt::format("{} of them do not fit", stored_ops));
  }
  if (reader.ok()) batch.ops.reserve(stored_ops);
  for (std::size_t i = 0; i < stored_ops && reader.ok(); ++i) {
    batch.ops.push_back(read_op(reader, envelope.body, dim, i));
  }
  VARVE_CHECK(reader.finish());
  return batch;
}

Result<LogEntry> read_seal(const Envelope& envelope, LogPosition position,
                           std::string_view context) {
  Reader reader(envelope.body, context);
  Seal seal;
  seal.nonce = envelope.identity.nonce;
  seal.position.epoch = reader.u64("epoch");
  seal.position.seq = reader.u64("seq");
  check_position(reader, seal.position, position);
  seal.new_epoch = reader.u64("new epoch");
  VARVE_CHECK(reader.finish());
  return seal;
}

}  // namespace

base::Bytes encode_batch(LogPosition position, const base::Sha256& previous,
                         std::span<const LogOp> ops, std::uint32_t dim, const Uuid& index,
                         std::string_view name, base::Nonce nonce) {
  std::size_t body_bytes = kBatchHeaderBytes;
  for (const LogOp& op : ops) body_bytes += op_bytes(op);
  Writer writer(name, body_bytes);
  writer.u64(position.epoch);
  writer.u64(position.seq);
  writer.bytes(previous);
  writer.u32(dim);
  writer.u32(static_cast<std::uint32_t>(ops.size()));
  writer.zeros(8);
  for (const LogOp& op : ops) write_op(writer, op, dim);
  return writer.seal(Identity{Kind::log, index, std::string(name), nonce});
}

base::Bytes encode_seal(const Seal& seal, const Uuid& index, std::string_view name) {
  Writer writer(name, 3 * sizeof(std::uint64_t));
  writer.u64(seal.position.epoch);
  writer.u64(seal.position.seq);
  writer.u64(seal.new_epoch);
  return writer.seal(Identity{Kind::seal, index, std::string(name), seal.nonce});
}

Result<LogEntry> decode_log(const base::Bytes& object, LogPosition position, std::uint32_t dim,
                            const Uuid& index, std::string_view name) {
  VARVE_ASSERT(dim >= 1);
  VARVE_ASSERT(dim <= kDimMax);
  // Vectors are borrowed in place, which needs their alignment.
  const bool aligned = reinterpret_cast<std::uintptr_t>(object.data()) % alignof(float) == 0;
  const base::Bytes bytes = aligned ? object : base::Bytes::copy_of(object);
  VARVE_TRY(const Envelope envelope, decode_envelope(bytes, index, name));
  const std::string context = fmt::format("object {}", name);
  if (envelope.identity.kind == Kind::log) return read_batch(envelope, position, dim, context);
  if (envelope.identity.kind == Kind::seal) return read_seal(envelope, position, context);
  return fail(ErrorKind::corrupt, fmt::format("{}: kind: {}, expected log or seal", context,
                                              to_string(envelope.identity.kind)));
}

}  // namespace varve::format
