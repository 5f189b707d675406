#include "kernels/rows.h"

#include <cmath>
#include <limits>

#include "kernels/kernels_test_util.h"

namespace varve::kernels {
namespace {

// All 2^16 halves, by arithmetic that has nothing to do with the kernels.
float half_value(std::uint32_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = half >> 10 & 31;
  const std::uint32_t mantissa = half & 0x3ffU;
  if (exponent == 31) {
    const std::uint32_t quiet = mantissa == 0 ? 0 : 0x400000U;
    return std::bit_cast<float>(sign | 0x7f800000U | mantissa << 13 | quiet);
  }
  const double size = exponent == 0 ? std::ldexp(mantissa, -24)
                                    : std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25);
  return std::bit_cast<float>(sign | bits_of(static_cast<float>(size)));
}

bool is_signalling(std::uint32_t half) {
  return (half & 0x7c00U) == 0x7c00U && (half & 0x3ffU) != 0 && (half & 0x200U) == 0;
}

RowType narrowest_of(float value) { return narrowest_type({&value, 1}); }

float round_trip(float value, RowType type) {
  alignas(4) std::byte narrowed[4];
  float wide = 0;
  narrow({&value, 1}, type, narrowed);
  widen(Rows{narrowed, 1, 4, 1, type}, 0, &wide);
  return wide;
}

TEST(Rows, EveryHalfWidensToItsValueAndComesBack) {
  std::vector<std::uint16_t> halves(65536);
  std::vector<float> wide(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  const Rows rows{reinterpret_cast<const std::byte*>(halves.data()), 1, 131072, 65536,
                  RowType::f16};
  on_each_target([&] {
    widen(rows, 0, wide.data());
    std::vector<std::uint16_t> back(65536);
    narrow(wide, RowType::f16, reinterpret_cast<std::byte*>(back.data()));
    for (std::uint32_t i = 0; i < 65536; ++i) {
      ASSERT_EQ(bits_of(wide[i]), bits_of(half_value(i))) << i;
      ASSERT_EQ(back[i], is_signalling(i) ? i | 0x200U : i) << i;
      ASSERT_NE(narrowest_of(wide[i]), RowType::f32) << i;
    }
  });
}

TEST(Rows, EveryBf16WidensToItsBitsAndComesBack) {
  on_each_target([&] {
    for (std::uint32_t i = 0; i < 65536; ++i) {
      const float value = std::bit_cast<float>(i << 16);
      ASSERT_EQ(bits_of(round_trip(value, RowType::bf16)), i << 16);
      ASSERT_NE(narrowest_of(value), RowType::f32);
    }
  });
}

TEST(Rows, TheNarrowestTypeGivesTheBitsBack) {
  SCOPED_TRACE(kSeed);
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (int i = 0; i < 200000; ++i) {
      // Few set bits at the end, so that all types occur.
      const std::uint32_t keep = 0xffffffffU << random() % 32;
      const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()) & keep);
      const RowType type = narrowest_of(value);
      ASSERT_EQ(bits_of(round_trip(value, type)), bits_of(value)) << to_string(type);
    }
  });
}

TEST(Rows, NarrowestTypeKnowsTheEdges) {
  const float signalling = std::bit_cast<float>(0x7fa00000U);
  const float long_payload = std::bit_cast<float>(0x7fc00001U);
  const std::pair<float, RowType> cases[] = {
      {0.0F, RowType::u8},
      {255.0F, RowType::u8},
      {256.0F, RowType::f16},
      {-1.0F, RowType::i8},
      {-128.0F, RowType::i8},
      {-129.0F, RowType::f16},
      {-0.0F, RowType::f16},
      {0.5F, RowType::f16},
      {2048.0F, RowType::f16},
      {2049.0F, RowType::f32},
      {65504.0F, RowType::f16},
      {65536.0F, RowType::bf16},
      {0x1p-24F, RowType::f16},
      {0x1.8p-24F, RowType::bf16},
      {0x1p-25F, RowType::bf16},
      {0x1p-149F, RowType::f32},
      {0x1p-133F, RowType::bf16},
      {4294967296.0F, RowType::bf16},
      {-2147483648.0F, RowType::bf16},
      {1.1F, RowType::f32},
      {std::numeric_limits<float>::infinity(), RowType::f16},
      {-std::numeric_limits<float>::infinity(), RowType::f16},
      {std::numeric_limits<float>::quiet_NaN(), RowType::f16},
      {signalling, RowType::bf16},
      {long_payload, RowType::f32}};
  on_each_target([&] {
    for (const auto& [value, type] : cases) EXPECT_EQ(narrowest_of(value), type) << value;
    EXPECT_EQ(narrowest_type({}), RowType::u8);
  });
}

TEST(Rows, NarrowestTypeSeesEveryPlace) {
  on_each_target([] {
    for (const std::size_t count : {1U, 15U, 16U, 256U, 257U, 300U}) {
      for (std::size_t at = 0; at < count; ++at) {
        std::vector<float> values(count, 7);
        ASSERT_EQ(narrowest_type(values), RowType::u8);
        values[at] = -7;
        ASSERT_EQ(narrowest_type(values), RowType::i8);
        values[at] = 0.5F;
        ASSERT_EQ(narrowest_type(values), RowType::f16);
        values[at] = 1e30F;
        ASSERT_EQ(narrowest_type(values), RowType::f32);
      }
    }
  });
}

TEST(Rows, NarrowAndWidenKeepAllLengths) {
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (const RowType type : kAllTypes) {
      for (std::uint32_t dim = 0; dim <= 257; ++dim) {
        const OddRows odd(random, 3, dim, type);
        std::vector<float> wide(3 * (dim + 2), -7);
        widen_all(odd.rows, wide.data(), dim + 2);
        for (std::size_t i = 0; i < 3; ++i) {
          for (std::size_t j = 0; j < dim; ++j) {
            ASSERT_EQ(bits_of(wide[i * (dim + 2) + j]), bits_of(odd.values[i * dim + j]))
                << to_string(type) << " x " << dim;
          }
          ASSERT_EQ(wide[i * (dim + 2) + dim], -7) << "wrote past the row";
        }
      }
    }
  });
}

TEST(Rows, CommonTypeHoldsWhatBothHold) {
  std::mt19937 random(kSeed);
  for (const RowType a : kAllTypes) {
    for (const RowType b : kAllTypes) {
      const RowType both = common_type(a, b);
      EXPECT_EQ(both, common_type(b, a));
      EXPECT_LE(element_bytes(both), 4U);
      for (int i = 0; i < 1000; ++i) {
        for (const RowType type : {a, b}) {
          const float value = drawn(random, type);
          ASSERT_EQ(bits_of(round_trip(value, both)), bits_of(value))
              << to_string(a) << " with " << to_string(b);
        }
      }
    }
  }
  EXPECT_EQ(common_type(RowType::u8, RowType::i8), RowType::f16);
  EXPECT_EQ(common_type(RowType::u8, RowType::bf16), RowType::bf16);
  EXPECT_EQ(common_type(RowType::f16, RowType::bf16), RowType::f32);
}

}  // namespace
}  // namespace varve::kernels
