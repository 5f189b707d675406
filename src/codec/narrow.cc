// Method::bf16, f16 and int8: float32 that were made from fewer bits go back to them, where every
// bit comes out again.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "codec/internal/methods.h"
#include "codec/internal/narrow_loops.h"

namespace varve::codec {
namespace {

using NarrowLoop = bool (*)(const std::uint8_t*, std::size_t, std::uint8_t*);
using WidenLoop = void (*)(const std::uint8_t*, std::size_t, std::uint8_t*);

const std::uint8_t* octets(base::ByteSpan bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}
std::uint8_t* octets(std::span<std::byte> bytes) {
  return reinterpret_cast<std::uint8_t*>(bytes.data());
}

// Bytes behind the last whole value stand at the end of both sides.
void copy_rest(base::ByteSpan from, std::span<std::byte> to, std::size_t rest) {
  if (rest > 0) std::memcpy(to.data() + to.size() - rest, from.data() + from.size() - rest, rest);
}

// Whether the first values pass: most inputs fail here, before anything is allocated.
bool begins_well(base::ByteSpan raw, NarrowLoop loop) {
  constexpr std::size_t kProbe = 16;
  std::uint8_t probe[2 * kProbe];
  return loop(octets(raw), std::min(kProbe, raw.size() / 4), probe);
}

Packed pack_halves(base::ByteSpan raw, NarrowLoop loop) {
  const std::size_t count = raw.size() / 4;
  const std::size_t rest = raw.size() % 4;
  if (count == 0 || !begins_well(raw, loop)) return std::nullopt;
  base::Buffer stored(2 * count + rest);
  if (!loop(octets(raw), count, octets(stored.span()))) return std::nullopt;
  copy_rest(raw, stored.span(), rest);
  return stored;
}

Status unpack_halves(base::ByteSpan stored, std::span<std::byte> out, WidenLoop loop,
                     std::string_view method) {
  const std::size_t count = out.size() / 4;
  const std::size_t rest = out.size() % 4;
  if (stored.size() != 2 * count + rest) return corrupt_record(method, "not of the right size");
  loop(octets(stored), count, octets(out));
  copy_rest(stored, out, rest);
  return {};
}

// The int8 record begins with a byte of these bits, then the scale.
constexpr std::uint8_t kUnsigned = 1;
constexpr std::uint8_t kDivide = 2;

constexpr std::uint32_t kSign = 0x80000000U;

std::uint32_t bits_at(const std::uint8_t* values, std::size_t index) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, values + 4 * index, 4);
  return bits;
}

// What the search for a scale looks at. All are absolute values.
struct Sample {
  double largest = 0;
  double others[2] = {};  // the first two that are neither 0 nor the largest; 0: none
  bool negative = false;  // some sign is set
};

std::optional<Sample> sample_of(const std::uint8_t* values, std::size_t count) {
  const std::uint32_t found_bits = largest_size(values, count);
  const std::uint32_t largest = found_bits & ~kSign;
  if (largest == 0 || largest >= 0x7f800000U) return std::nullopt;
  Sample sample;
  sample.largest = std::bit_cast<float>(largest);
  sample.negative = (found_bits & kSign) != 0;
  std::size_t found = 0;
  for (std::size_t i = 0; i < count && found < 2; ++i) {
    const double size = std::bit_cast<float>(bits_at(values, i) & ~kSign);
    if (size == 0 || size == sample.largest || size == sample.others[0]) continue;
    sample.others[found++] = size;
  }
  return sample;
}

// Whether a value can be a whole number that is `ratio` of the largest, if that is `number`. Both
// were rounded to 24 bits.
bool may_be_whole(double ratio, int number) {
  const double steps = ratio * number;
  // The nearest whole number, without the call that std::nearbyint is where SSE4 is not assumed.
  constexpr double last_bit_is_one = 0x1.8p52;
  const double whole = (steps + last_bit_is_one) - last_bit_is_one;
  return std::abs(steps - whole) < 1e-4;
}

// The float32 scales that may give `largest` for the number: rounding leaves three.
bool try_scales(base::ByteSpan raw, const Sample& sample, int number, Scaling& scaling,
                std::uint8_t* out) {
  const double exact = scaling.divide ? number / sample.largest : sample.largest / number;
  const auto middle = static_cast<float>(exact);
  for (const float scale : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, 1e38F)}) {
    scaling.scale = scale;
    if (scale > 0 && std::isfinite(scale) && to_bytes(octets(raw), raw.size() / 4, scaling, out)) {
      return true;
    }
  }
  return false;
}

bool find_scale(base::ByteSpan raw, const Sample& sample, Scaling& scaling, std::uint8_t* out) {
  scaling.is_signed = sample.negative;
  const int largest = scaling.is_signed ? 128 : 255;
  const double ratios[] = {sample.others[0] / sample.largest, sample.others[1] / sample.largest};
  for (int number = 1; number <= largest; ++number) {
    if (!may_be_whole(ratios[0], number) || !may_be_whole(ratios[1], number)) continue;
    for (const bool divide : {false, true}) {
      scaling.divide = divide;
      if (try_scales(raw, sample, number, scaling, out)) return true;
    }
  }
  return false;
}

}  // namespace

Packed pack_bf16(base::ByteSpan raw) { return pack_halves(raw, narrow_bf16); }
Packed pack_f16(base::ByteSpan raw) { return pack_halves(raw, narrow_f16); }

Status unpack_bf16(base::ByteSpan stored, std::span<std::byte> out) {
  return unpack_halves(stored, out, widen_bf16, "bf16");
}
Status unpack_f16(base::ByteSpan stored, std::span<std::byte> out) {
  return unpack_halves(stored, out, widen_f16, "f16");
}

Packed pack_int8(base::ByteSpan raw) {
  const std::size_t count = raw.size() / 4;
  const std::size_t rest = raw.size() % 4;
  if (kInt8HeaderBytes + count + rest >= raw.size()) return std::nullopt;
  const auto sample = sample_of(octets(raw), count);
  if (!sample) return std::nullopt;
  base::Buffer stored(kInt8HeaderBytes + count + rest);
  std::uint8_t* out = octets(stored.span());
  Scaling scaling;
  if (!find_scale(raw, *sample, scaling, out + kInt8HeaderBytes)) return std::nullopt;
  out[0] = static_cast<std::uint8_t>((scaling.is_signed ? 0 : kUnsigned) |
                                     (scaling.divide ? kDivide : 0));
  std::memcpy(out + 1, &scaling.scale, sizeof(float));
  copy_rest(raw, stored.span(), rest);
  return stored;
}

Status unpack_int8(base::ByteSpan stored, std::span<std::byte> out) {
  const std::size_t count = out.size() / 4;
  const std::size_t rest = out.size() % 4;
  if (stored.size() != kInt8HeaderBytes + count + rest) {
    return corrupt_record("int8", "not of the right size");
  }
  const std::uint8_t* in = octets(stored);
  if (in[0] > (kUnsigned | kDivide)) return corrupt_record("int8", "of an unknown kind");
  Scaling scaling;
  scaling.is_signed = (in[0] & kUnsigned) == 0;
  scaling.divide = (in[0] & kDivide) != 0;
  std::memcpy(&scaling.scale, in + 1, sizeof(float));
  from_bytes(in + kInt8HeaderBytes, count, scaling, octets(out));
  copy_rest(stored, out, rest);
  return {};
}

}  // namespace varve::codec
