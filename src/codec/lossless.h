// Records of bytes that come back bit for bit: NaN payloads, -0.0 and denormals included.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "codec/dictionary.h"

namespace varve::codec {

// How a record is stored. Written into records: numbers never change.
enum class Method : std::uint8_t {
  raw = 0,
  repeat = 1,           // a period of at most 256 bytes, stored once
  bf16 = 2,             // float32 that were bf16: 2x
  f16 = 3,              // float32 that were IEEE half precision: 2x
  int8 = 4,             // float32 that were a byte, signed or not, times or by a scale: 4x
  exponent = 5,         // three bits for the exponent: 1.17x on embeddings
  zstd = 6,             // without magic number, content size and checksum
  zstd_dictionary = 7,  // the same with a dictionary, whose id is in the record
};
inline constexpr std::size_t kMethods = 8;

std::string_view to_string(Method method);

// The number that a record holds; nullopt: no method has it.
std::optional<Method> method_of(std::uint8_t number);

struct Encoded {
  Method method = Method::raw;
  base::Bytes bytes;
};

struct EncodeOptions {
  bool floats = true;                      // the bytes are float32, little-endian
  int zstd_level = 0;                      // 1 to 22; 0: no zstd
  const Dictionary* dictionary = nullptr;  // used with zstd_level, not owned
};

// The smallest that any method gives, decoded once to be sure; never larger than `raw`.
// Thread-safe, as everything here. What has 2 GiB or more is not given to zstd.
Encoded encode(base::ByteSpan raw, const EncodeOptions& options);

// By the one method. nullopt: it does not apply to these bits or saves nothing.
std::optional<base::Bytes> encode_as(Method method, base::ByteSpan raw,
                                     const EncodeOptions& options);

// Fills `out`, whose size is the raw size and known to the caller. Reads only inside `stored` and
// writes only inside `out`. `corrupt`: damaged or hostile bytes; some damage gives other bytes and
// no error, so records carry a checksum. `invalid`: the dictionary is missing or another one.
Status decode(Method method, base::ByteSpan stored, std::span<std::byte> out,
              const Dictionary* dictionary = nullptr);

// The id of the dictionary that a record of zstd_dictionary was made with; 0: damaged.
std::uint32_t dictionary_id(base::ByteSpan stored);

}  // namespace varve::codec
