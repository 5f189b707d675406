#include "kernels/rotation.h"

#include <cmath>
#include <set>

#include "kernels/kernels_test_util.h"

namespace varve::kernels {
namespace {

std::vector<float> rotated(const Rotation& rotation, const std::vector<float>& vector) {
  std::vector<float> out(rotation.padded_dim(), -7);
  rotation.apply(vector.data(), out.data());
  return out;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

TEST(Rotation, KeepsInnerProducts) {
  std::mt19937 random(kSeed);
  on_each_target([&] {
    for (const std::uint32_t dim :
         {1U, 3U, 63U, 64U, 65U, 100U, 128U, 768U, 784U, 1000U, 1024U, 1536U, 4095U, 4096U}) {
      const Rotation rotation(dim, random());
      EXPECT_EQ(rotation.padded_dim() % 64, 0U);
      EXPECT_LT(rotation.padded_dim() - dim, 64U);
      const auto a = drawn_query(random, dim), b = drawn_query(random, dim);
      const auto a_out = rotated(rotation, a), b_out = rotated(rotation, b);
      const double sizes = std::sqrt(dot(a, a) * dot(b, b));
      EXPECT_NEAR(dot(a_out, b_out), dot(a, b), 1e-5 * sizes) << dim;
      EXPECT_NEAR(dot(a_out, a_out), dot(a, a), 1e-5 * dot(a, a)) << dim;
    }
  });
}

TEST(Rotation, GivesTheSameBitsOnEveryTarget) {
  std::mt19937 random(kSeed);
  for (const std::uint32_t dim : {1U, 64U, 100U, 784U, 1536U, 4096U}) {
    const Rotation rotation(dim, 7);
    const auto vector = drawn_query(random, dim);
    ASSERT_TRUE(use_target(supported_targets().front()));
    const auto wanted = rotated(rotation, vector);
    on_each_target([&] {
      const auto found = rotated(rotation, vector);
      for (std::size_t i = 0; i < found.size(); ++i) {
        ASSERT_EQ(bits_of(found[i]), bits_of(wanted[i])) << dim << ", " << i;
      }
    });
  }
}

// What is stored depends on it.
TEST(Rotation, NeverChanges) {
  std::vector<float> vector(784);
  for (std::size_t i = 0; i < vector.size(); ++i) vector[i] = static_cast<float>(i % 17);
  const auto out = rotated(Rotation(784, 20'261'124), vector);
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const float value : out) hash = (hash ^ bits_of(value)) * 0x100000001B3;
  EXPECT_EQ(hash, 0x1A159587E2C4284EU) << std::hex << hash;
}

// One value alone is spread over all, evenly: no direction of the space is special.
TEST(Rotation, SpreadsASingleValue) {
  for (const std::uint32_t dim : {128U, 784U, 1536U}) {
    const Rotation rotation(dim, 3);
    for (const std::uint32_t at : {0U, dim / 2, dim - 1}) {
      std::vector<float> vector(dim);
      vector[at] = 1;
      const auto out = rotated(rotation, vector);
      double fourth = 0;
      for (const float value : out) fourth += std::pow(static_cast<double>(value), 4);
      // A normal distribution has three; a value that was spread over a quarter only, twelve.
      EXPECT_LT(fourth * rotation.padded_dim(), 6) << dim << ", " << at;
    }
  }
}

TEST(Rotation, SeedsDiffer) {
  const std::vector<float> vector(100, 1);
  EXPECT_NE(rotated(Rotation(100, 1), vector), rotated(Rotation(100, 2), vector));
  EXPECT_EQ(rotated(Rotation(100, 1), vector), rotated(Rotation(100, 1), vector));
}

}  // namespace
}  // namespace varve::kernels
