// What the tests of this module share.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/distance.h"
#include "kernels/rows.h"
#include "kernels/target.h"

namespace varve::kernels {

constexpr RowType kAllTypes[] = {RowType::f32, RowType::f16, RowType::bf16, RowType::u8,
                                 RowType::i8};
constexpr std::uint32_t kSeed = 20240607;

// Runs the body once per target and ends with the best one in use.
template <class Body>
void on_each_target(Body body) {
  const auto targets = supported_targets();
  for (const std::string_view target : targets) {
    SCOPED_TRACE(std::string(target));
    ASSERT_TRUE(use_target(target));
    body();
  }
  ASSERT_TRUE(use_target(targets.back()));
}

inline std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

inline float drawn(std::mt19937& random, RowType type) {
  const auto byte = static_cast<int>(random() % 256);
  if (type == RowType::u8) return static_cast<float>(byte);
  if (type == RowType::i8) return static_cast<float>(byte - 128);
  const float value = std::normal_distribution<float>()(random);
  if (type == RowType::f32) return value;
  // Both halves hold integers of their number of bits; |value| stays below 7.
  const float scale = type == RowType::bf16 ? 32 : 256;
  return static_cast<float>(static_cast<int>(value * scale)) / scale;
}

// Rows with every stride and start that the element allows: nothing is aligned to a vector.
struct OddRows {
  std::vector<float> values;  // count * dim, exact
  std::vector<std::byte> bytes;
  Rows rows;

  OddRows(std::mt19937& random, std::size_t count, std::uint32_t dim, RowType type) {
    const std::size_t element = element_bytes(type);
    const std::size_t start = element * (1 + random() % 7);
    const std::size_t stride = element * (dim + random() % 5);
    bytes.assign(start + count * stride, std::byte{0x7f});
    bytes.shrink_to_fit();
    for (std::size_t i = 0; i < count * dim; ++i) values.push_back(drawn(random, type));
    for (std::size_t i = 0; i < count; ++i) {
      narrow({values.data() + i * dim, dim}, type, bytes.data() + start + i * stride);
    }
    rows = Rows{bytes.data() + start, count, stride, dim, type};
  }
};

inline std::vector<float> drawn_query(std::mt19937& random, std::size_t dim) {
  std::vector<float> query(dim);
  for (float& value : query) value = drawn(random, RowType::f32);
  return query;
}

}  // namespace varve::kernels
