// Rows of vectors in memory, and the arithmetic on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace varve::kernels {

// How the numbers of a row are stored. Stored values are part of the format: never change them.
enum class RowType : std::uint8_t { f32 = 1, f16 = 2, bf16 = 3, u8 = 4, i8 = 5 };

std::string_view to_string(RowType type);
std::size_t element_bytes(RowType type);

// Borrowed rows, row-major, `stride_bytes` from one to the next. No alignment is required beyond
// that of the element; rows on 64-byte boundaries are faster.
struct Rows {
  const std::byte* data = nullptr;
  std::size_t count = 0;
  std::size_t stride_bytes = 0;
  std::uint32_t dim = 0;
  RowType type = RowType::f32;

  const std::byte* row(std::size_t i) const { return data + i * stride_bytes; }
  Rows sub(std::size_t first, std::size_t n) const {
    return Rows{row(first), n, stride_bytes, dim, type};
  }
};

// `count` rows of float32 without padding.
inline Rows rows_of(const float* data, std::size_t count, std::uint32_t dim) {
  return Rows{reinterpret_cast<const std::byte*>(data), count, dim * sizeof(float), dim,
              RowType::f32};
}

// The narrowest type that holds every value of the block bit for bit (u8, i8, f16, bf16, f32 in
// this order of preference at equal size). -0.0 and NaN payloads are not u8 or i8; whether f16 or
// bf16 holds them is decided by the bits that come back.
RowType narrowest_type(std::span<const float> values);
// The narrowest type that holds everything that both hold.
RowType common_type(RowType a, RowType b);

// REQUIRES: `type` holds every value exactly. Writes values.size() elements.
void narrow(std::span<const float> values, RowType type, std::byte* out);
// Writes `dim` floats: the exact values of one row.
void widen(const Rows& rows, std::size_t row, float* out);
void widen_all(const Rows& rows, float* out, std::size_t out_stride_floats);

}  // namespace varve::kernels
