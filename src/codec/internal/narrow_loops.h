// The loops behind Method::bf16, f16 and int8. Each gives the same bytes on every target. float32
// and halves are little-endian bytes at any address.
#pragma once

#include <cstddef>
#include <cstdint>

namespace varve::codec {

// All values at once; false if a value differs from every number of the type in some bit, and then
// `out` holds nothing of use.
bool narrow_bf16(const std::uint8_t* values, std::size_t count, std::uint8_t* out);
bool narrow_f16(const std::uint8_t* values, std::size_t count, std::uint8_t* out);

// Every half becomes the float32 of its value; a NaN keeps its payload, also a signalling one.
void widen_bf16(const std::uint8_t* halves, std::size_t count, std::uint8_t* out);
void widen_f16(const std::uint8_t* halves, std::size_t count, std::uint8_t* out);

// The bits of the largest absolute value, NaN above infinity, with the sign bit set if any value
// has it.
std::uint32_t largest_size(const std::uint8_t* values, std::size_t count);

// value = number (from `lowest` to lowest + 255) * scale, or / scale, rounded once to float32.
struct Scaling {
  float scale = 1;
  bool divide = false;
  bool is_signed = true;  // numbers of [-128, 127], else of [0, 255]
};
bool to_bytes(const std::uint8_t* values, std::size_t count, const Scaling& scaling,
              std::uint8_t* out);
void from_bytes(const std::uint8_t* numbers, std::size_t count, const Scaling& scaling,
                std::uint8_t* out);

}  // namespace varve::codec
