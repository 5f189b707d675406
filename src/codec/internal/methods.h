// What each method of codec/lossless.h does. pack_*: nullopt where the method does not apply or
// would not save a byte. unpack_*: `corrupt`, never a read outside `stored` or a write outside
// `out`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace varve::codec {

using Packed = std::optional<base::Buffer>;

// stored: one period of at most kPeriodBytesMax bytes.
inline constexpr std::size_t kPeriodBytesMax = 256;
Packed pack_repeat(base::ByteSpan raw);
Status unpack_repeat(base::ByteSpan stored, std::span<std::byte> out);

// stored: two bytes for each value, then the bytes behind the last whole value.
Packed pack_bf16(base::ByteSpan raw);
Status unpack_bf16(base::ByteSpan stored, std::span<std::byte> out);
Packed pack_f16(base::ByteSpan raw);
Status unpack_f16(base::ByteSpan stored, std::span<std::byte> out);

// stored: a byte for the kind, four for the scale, one for each value, then what is behind.
inline constexpr std::size_t kInt8HeaderBytes = 5;
Packed pack_int8(base::ByteSpan raw);
Status unpack_int8(base::ByteSpan stored, std::span<std::byte> out);

// stored: base exponent, number of exceptions, groups (internal/exponent_groups.h), what is behind
// the last whole group, exceptions.
Packed pack_exponent(base::ByteSpan raw);
Status unpack_exponent(base::ByteSpan stored, std::span<std::byte> out);

inline tl::unexpected<Error> corrupt_record(std::string_view method, std::string_view what) {
  return fail(ErrorKind::corrupt, std::string(method) + ": " + std::string(what));
}

}  // namespace varve::codec
