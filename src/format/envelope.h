// What every object begins with, so that no bytes are ever taken for something they are not: an
// object that was swapped, cut off, damaged or left by another index is recognised.
//
//   offset  bytes  field
//        0      8  magic "VARVE\r\n\x1a"
//        8      2  format version, 1 to kVersionMax
//       10      2  kind
//       12      4  header bytes: offset of the body, a multiple of 64
//       16     16  index uuid (zero for a catalog)
//       32     16  nonce: high, low
//       48      8  object length in bytes
//       56     16  XXH3-128 of the body: high, low
//       72      2  length of the object's own name
//       74      n  own name: its key in the store
//   74 + n      0+ zeros
//   header - 4  4  CRC-32C of all header bytes before
//
// Little-endian. Never change a field: add a version, keep the old reader and its golden file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "codec/checksum.h"
#include "format/uuid.h"

namespace varve::format {

// Written since format version 1. Never change these values.
enum class Kind : std::uint16_t {
  catalog = 1,
  head = 2,
  manifest = 3,
  log = 4,
  seal = 5,
  group = 6,
  centroids = 7,
  key_map = 8,
  stale = 9,
  retired = 10,
  directions = 11,
};
std::string_view to_string(Kind kind);

// 1: everything. 2: groups with codes, and manifests that list such groups. 3: the same of
// attributes. 4: the same of extra bits, and manifests of indexes that have them. 5: the same of
// radii, directions, and manifests of indexes that have them or whose clusters are in the order of
// time. An object gets the least version that can say what it says.
inline constexpr std::uint16_t kVersionMax = 6;

struct Identity {
  Kind kind = Kind::head;
  Uuid index;
  std::string name;  // the key that the object is stored under
  base::Nonce nonce;
  std::uint16_t version = 1;
};

struct Envelope {
  Identity identity;
  std::uint64_t object_bytes = 0;
  std::uint64_t header_bytes = 0;
  codec::Hash128 body_hash;
  base::Bytes body;  // empty if only the header was decoded
};

// Bytes that the header for `name` takes: where the body begins.
std::size_t envelope_header_bytes(std::string_view name);

base::Bytes encode_envelope(const Identity& identity, base::ByteSpan body);
// Writes the header in place in front of a body that is there already: `object` is the whole
// object, its first envelope_header_bytes(name) bytes are overwritten.
void seal_envelope(const Identity& identity, std::span<std::byte> object);

// Verifies everything. `corrupt`: names the object and what is wrong with it, a different kind,
// index or own name included. Kind seal or log: see decode_log.
Result<Envelope> decode_envelope(const base::Bytes& object, Kind kind, const Uuid& index,
                                 std::string_view name);
// The same without an expectation of the kind (log slots hold a batch or a seal).
Result<Envelope> decode_envelope(const base::Bytes& object, const Uuid& index,
                                 std::string_view name);

}  // namespace varve::format
