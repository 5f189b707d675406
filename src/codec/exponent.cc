// Method::exponent. Embeddings spread over few exponents and fill the mantissa with noise: three
// bits of exponent do for nearly every value, and the rest are listed. The window of eight
// exponents is the one that covers most values: a window below the largest value costs more than it
// saves where one dimension stands out.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "codec/internal/exponent_groups.h"
#include "codec/internal/methods.h"

namespace varve::codec {
namespace {

constexpr std::size_t kExponents = 256;
constexpr std::size_t kWindow = 8;
constexpr std::size_t kGapMax = 255;

const std::uint8_t* words(base::ByteSpan bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}
std::uint8_t* words(std::span<std::byte> bytes) {
  return reinterpret_cast<std::uint8_t*>(bytes.data());
}

std::uint32_t bits_at(const std::uint8_t* values, std::size_t index) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, values + 4 * index, 4);
  return bits;
}
std::uint8_t exponent_at(const std::uint8_t* values, std::size_t index) {
  return static_cast<std::uint8_t>(bits_at(values, index) >> 23);
}

// How `values` float32 and `rest` bytes behind them are laid out.
struct Layout {
  std::size_t groups = 0, tail = 0, rest = 0;

  explicit Layout(std::size_t raw_bytes)
      : groups(raw_bytes / kGroupRawBytes),
        tail(raw_bytes % kGroupRawBytes / 4),
        rest(raw_bytes % 4) {}
  std::size_t values() const { return groups * kGroupValues + tail; }
  std::size_t tail_plane_bytes() const { return (tail + 7) / 8; }
  std::size_t body_bytes() const {
    return groups * kGroupBytes + 3 * (tail_plane_bytes() + tail) + rest;
  }
};

struct Window {
  std::uint8_t base = 0;
  std::size_t outside = 0;
};

Window best_window(const std::uint8_t* values, std::size_t count) {
  // Four counters in turn: neighbours often have the same exponent, and a counter that was just
  // written is slow to read back.
  std::uint32_t counts[4][kExponents] = {};
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) ++counts[k][exponent_at(values, i + k)];
  }
  for (; i < count; ++i) ++counts[0][exponent_at(values, i)];
  std::size_t of[kExponents] = {};
  for (std::size_t e = 0; e < kExponents; ++e) {
    of[e] = std::size_t{counts[0][e]} + counts[1][e] + counts[2][e] + counts[3][e];
  }
  std::size_t inside = std::accumulate(of, of + kWindow, std::size_t{0});
  std::size_t best = inside;
  Window window;
  for (std::size_t base = 1; base + kWindow <= kExponents; ++base) {
    inside += of[base + kWindow - 1] - of[base - 1];
    if (inside <= best) continue;
    best = inside;
    window.base = static_cast<std::uint8_t>(base);
  }
  window.outside = count - best;
  return window;
}

// (distance from the one before, exponent) of each value outside of the window. Where the distance
// does not fit in a byte, a value inside of the window is listed on the way.
class Exceptions {
 public:
  Exceptions(const std::uint8_t* values, std::size_t count, const Window& window)
      : values_(values), base_(window.base) {
    listed_.reserve(2 * window.outside);
    const std::size_t blocks = count / kBlockValues;
    for (std::size_t block = 0;; ++block) {
      block = next_block_outside(values, block, blocks, window.base);
      if (block == blocks) break;
      add_block(block * kBlockValues, kBlockValues);
    }
    add_block(blocks * kBlockValues, count % kBlockValues);
  }

  const std::vector<std::uint8_t>& listed() const { return listed_; }

 private:
  void add_block(std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) {
      if (static_cast<std::uint8_t>(exponent_at(values_, i) - base_) >= kWindow) add(i);
    }
  }

  void add(std::size_t index) {
    for (; index - last_ > kGapMax; last_ += kGapMax) push(kGapMax, last_ + kGapMax);
    push(index - last_, index);
    last_ = index;
  }

  void push(std::size_t gap, std::size_t index) {
    listed_.push_back(static_cast<std::uint8_t>(gap));
    listed_.push_back(exponent_at(values_, index));
  }

  const std::uint8_t* values_;
  std::uint8_t base_;
  std::size_t last_ = 0;
  std::vector<std::uint8_t> listed_;
};

std::size_t varint_bytes(std::size_t number) {
  std::size_t bytes = 1;
  for (; number >= 128; number >>= 7) ++bytes;
  return bytes;
}

std::uint8_t* put_varint(std::size_t number, std::uint8_t* out) {
  for (; number >= 128; number >>= 7) *out++ = static_cast<std::uint8_t>(number | 128U);
  *out++ = static_cast<std::uint8_t>(number);
  return out;
}

// Values behind the last whole group have the same planes in their own order and only as long as
// needed. They go through a group with zeros behind them.

// The order of places in a group (internal/exponent_groups.h) is its own inverse. For bits: a 4 x 4
// matrix of nibbles is transposed, first inside of its quarters, then the quarters.
std::uint64_t reordered_bits(std::uint64_t bits) {
  const std::uint64_t near = (bits ^ bits >> 12) & 0x0000f0f00000f0f0U;
  bits ^= near ^ near << 12;
  const std::uint64_t far = (bits ^ bits >> 24) & 0x00000000ff00ff00U;
  return bits ^ far ^ far << 24;
}

void reorder_bytes(const std::uint8_t* from, std::uint8_t* to) {
  for (std::size_t b = 0; b < 4; ++b) {
    for (std::size_t j = 0; j < 4; ++j) std::memcpy(to + 16 * b + 4 * j, from + 16 * j + 4 * b, 4);
  }
}

void pack_tail(const std::uint8_t* values, std::size_t count, std::uint8_t base,
               std::uint8_t* out) {
  if (count == 0) return;
  std::uint8_t raw[kGroupRawBytes] = {};
  std::uint8_t group[kGroupBytes];
  std::memcpy(raw, values, 4 * count);
  pack_groups(raw, 1, base, group);
  const std::size_t plane_bytes = (count + 7) / 8;
  // Of the last byte only the bits of values are stored, so that equal values give equal bytes.
  const std::uint64_t used = ~std::uint64_t{0} >> (kGroupValues - count);
  for (std::size_t p = 0; p < kGroupBitPlanes; ++p, out += plane_bytes) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, group + p * kGroupBitPlaneBytes, kGroupBitPlaneBytes);
    bits = reordered_bits(bits) & used;
    std::memcpy(out, &bits, plane_bytes);
  }
  for (std::size_t p = 0; p < kGroupBytePlanes; ++p, out += count) {
    std::uint8_t bytes[kGroupValues];
    reorder_bytes(group + kGroupPlanesAt + p * kGroupValues, bytes);
    std::memcpy(out, bytes, count);
  }
}

void unpack_tail(const std::uint8_t* packed, std::size_t count, std::uint8_t base,
                 std::uint8_t* out) {
  if (count == 0) return;
  std::uint8_t group[kGroupBytes];
  const std::size_t plane_bytes = (count + 7) / 8;
  for (std::size_t p = 0; p < kGroupBitPlanes; ++p, packed += plane_bytes) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, packed, plane_bytes);
    bits = reordered_bits(bits);
    std::memcpy(group + p * kGroupBitPlaneBytes, &bits, kGroupBitPlaneBytes);
  }
  for (std::size_t p = 0; p < kGroupBytePlanes; ++p, packed += count) {
    std::uint8_t bytes[kGroupValues] = {};
    std::memcpy(bytes, packed, count);
    reorder_bytes(bytes, group + kGroupPlanesAt + p * kGroupValues);
  }
  std::uint8_t raw[kGroupRawBytes];
  unpack_groups(group, 1, base, raw);
  std::memcpy(out, raw, 4 * count);
}

// Sets the listed exponents. False: one is listed behind the last value.
bool set_exceptions(const std::uint8_t* listed, std::size_t count, std::uint8_t* out,
                    std::size_t values) {
  std::size_t index = 0;
  for (std::size_t i = 0; i < count; ++i) {
    index += listed[2 * i];
    if (index >= values) return false;
    const std::uint32_t bits =
        (bits_at(out, index) & 0x807fffffU) | std::uint32_t{listed[2 * i + 1]} << 23;
    std::memcpy(out + 4 * index, &bits, 4);
  }
  return true;
}

struct Header {
  std::uint8_t base = 0;
  std::size_t exceptions = 0;
  std::size_t bytes = 0;
};

std::optional<Header> read_header(base::ByteSpan stored) {
  if (stored.empty()) return std::nullopt;
  Header header;
  header.base = std::to_integer<std::uint8_t>(stored[0]);
  for (std::size_t at = 1; at < std::min<std::size_t>(stored.size(), 6); ++at) {
    const auto byte = std::to_integer<std::size_t>(stored[at]);
    header.exceptions |= (byte & 127U) << 7 * (at - 1);
    if (byte >= 128) continue;
    // One number has one form.
    if (byte == 0 && at > 1) return std::nullopt;
    header.bytes = at + 1;
    return header;
  }
  return std::nullopt;
}

}  // namespace

Packed pack_exponent(base::ByteSpan raw) {
  const Layout layout(raw.size());
  const std::uint8_t* values = words(raw);
  const std::size_t fixed = layout.body_bytes() + 2;
  // Read before the histogram: short inputs cannot win.
  if (fixed >= raw.size()) return std::nullopt;
  const Window window = best_window(values, layout.values());
  if (fixed + 2 * window.outside >= raw.size()) return std::nullopt;
  const Exceptions all(values, layout.values(), window);
  const std::vector<std::uint8_t>& listed = all.listed();
  const std::size_t exceptions = listed.size() / 2;
  const std::size_t size = 1 + varint_bytes(exceptions) + layout.body_bytes() + listed.size();
  if (size >= raw.size() || exceptions >= std::size_t{1} << 35) return std::nullopt;

  base::Buffer stored(size);
  std::uint8_t* out = words(stored.span());
  *out++ = window.base;
  out = put_varint(exceptions, out);
  pack_groups(values, layout.groups, window.base, out);
  out += layout.groups * kGroupBytes;
  pack_tail(values + layout.groups * kGroupRawBytes, layout.tail, window.base, out);
  out += 3 * (layout.tail_plane_bytes() + layout.tail);
  std::memcpy(out, values + raw.size() - layout.rest, layout.rest);
  if (!listed.empty()) std::memcpy(out + layout.rest, listed.data(), listed.size());
  return stored;
}

Status unpack_exponent(base::ByteSpan stored, std::span<std::byte> out) {
  const Layout layout(out.size());
  const auto header = read_header(stored);
  if (!header) return corrupt_record("exponent", "no header");
  if (stored.size() != header->bytes + layout.body_bytes() + 2 * header->exceptions) {
    return corrupt_record("exponent", "not of the size that its header says");
  }
  const std::uint8_t* in = words(stored) + header->bytes;
  std::uint8_t* values = words(out);
  unpack_groups(in, layout.groups, header->base, values);
  in += layout.groups * kGroupBytes;
  unpack_tail(in, layout.tail, header->base, values + layout.groups * kGroupRawBytes);
  in += 3 * (layout.tail_plane_bytes() + layout.tail);
  if (layout.rest > 0) std::memcpy(values + out.size() - layout.rest, in, layout.rest);
  if (!set_exceptions(in + layout.rest, header->exceptions, values, layout.values())) {
    return corrupt_record("exponent", "an exception behind the last value");
  }
  return {};
}

}  // namespace varve::codec
