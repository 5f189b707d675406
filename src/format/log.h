// Log objects: one acknowledged batch, a marker, or a seal that ends an epoch.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "base/sha256.h"
#include "format/head.h"
#include "format/uuid.h"

namespace varve::format {

enum class OpKind : std::uint8_t { upsert = 1, remove = 2 };

// Borrows: from the caller when encoding, from LogBatch::bytes after decoding.
struct LogOp {
  OpKind kind = OpKind::upsert;
  std::string_view key;
  std::span<const float> vector;  // empty for remove
  std::string_view metadata;
};

// Any number of operations; none is a marker, which only reserves its slot (import does that).
struct LogBatch {
  base::Bytes bytes;  // owner of what the operations borrow
  LogPosition position;
  base::Nonce nonce;
  base::Sha256 previous{};  // of the object before it in the same epoch; zero for the first
  std::vector<LogOp> ops;
};

// Ends `position.epoch` at `position.seq` for ever: no slot at or after it is ever acknowledged.
// Never deleted.
struct Seal {
  LogPosition position;
  base::Nonce nonce;
  std::uint64_t new_epoch = 0;  // of the writer that sealed
};

using LogEntry = std::variant<LogBatch, Seal>;

// Each operation carries its own CRC-32C; vectors stand on 4-byte boundaries of the body, the body
// on 64-byte boundaries of the object. REQUIRES: all vectors have `dim` values.
base::Bytes encode_batch(LogPosition position, const base::Sha256& previous,
                         std::span<const LogOp> ops, std::uint32_t dim, const Uuid& index,
                         std::string_view name, base::Nonce nonce);
base::Bytes encode_seal(const Seal& seal, const Uuid& index, std::string_view name);
// `corrupt`: damaged, of another index, or not the entry of `position`. `dim`: every vector must
// have so many values, all finite.
Result<LogEntry> decode_log(const base::Bytes& object, LogPosition position, std::uint32_t dim,
                            const Uuid& index, std::string_view name);

}  // namespace varve::format
