// What the fuzz targets share. The first byte of an input decides: even, the rest is an object as
// it stands; odd, the rest is the body of an object whose envelope and checksums are right, so that
// the fuzzer gets behind them. Its other bits say which version that object has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "format/coding.h"
#include "format/envelope.h"

namespace varve::format::fuzz {

inline constexpr std::string_view kName = "v1/i/00/fuzz";
inline constexpr base::Nonce kNonce{1, 2};

struct Input {
  bool wrapped = false;
  base::Bytes object;
};

inline Input make_input(const std::uint8_t* data, std::size_t size, Kind kind) {
  if (size == 0) return {};
  const base::ByteSpan rest(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  if (data[0] % 2 == 0) return {false, base::Bytes::copy_of(rest)};
  const auto version = static_cast<std::uint16_t>(1 + data[0] / 2 % kVersionMax);
  return {true, encode_envelope(Identity{kind, Uuid{}, std::string(kName), kNonce, version}, rest)};
}

// One structure has one encoding: what was decoded must encode to the body it came from. Its
// version may be lower, if it needs no more.
inline void expect_canonical(const Input& input, const base::Bytes& again) {
  if (!input.wrapped) return;
  const std::size_t header = envelope_header_bytes(kName);
  VARVE_ASSERT(base::as_text(again).substr(header) == base::as_text(input.object).substr(header));
}

}  // namespace varve::format::fuzz
