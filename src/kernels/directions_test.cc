#include "kernels/directions.h"

#include <cmath>

#include "kernels/kernels_test_util.h"

namespace varve::kernels {
namespace {

Directions drawn(std::mt19937& random, std::uint32_t dim, std::uint32_t count) {
  std::vector<float> units;
  for (std::uint32_t k = 0; k < count; ++k) {
    const auto row = drawn_query(random, dim);
    double squares = 0;
    for (const float x : row) squares += static_cast<double>(x) * static_cast<double>(x);
    for (const float x : row) units.push_back(x / static_cast<float>(std::sqrt(squares)));
  }
  return Directions::from_units(dim, units);
}

TEST(Directions, ProjectAsInnerProductsOnEveryTarget) {
  std::mt19937 random(kSeed);
  for (const std::uint32_t dim : {64U, 192U, 768U, 4096U}) {
    const Directions directions = drawn(random, dim, 16);
    const auto vector = drawn_query(random, dim);
    std::vector<float> first;
    on_each_target([&] {
      std::vector<float> along(16);
      directions.project(vector.data(), along.data());
      for (std::size_t k = 0; k < along.size(); ++k) {
        double sum = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          sum += directions.values()[k * dim + j] / 2048.0 * static_cast<double>(vector[j]);
        }
        EXPECT_NEAR(along[k], sum, 1e-5) << dim;
      }
      if (first.empty()) first = along;
      EXPECT_EQ(along, first);
    });
  }
}

TEST(Directions, MultiplyIsExactOnEveryTarget) {
  std::mt19937 random(kSeed);
  for (const std::uint32_t dim : {64U, 128U, 832U, 4096U}) {
    const Directions directions = drawn(random, dim, 32);
    std::vector<std::int16_t> vector(dim);
    std::uniform_int_distribution<int> whole(-8191, 8191);
    for (auto& x : vector) x = static_cast<std::int16_t>(whole(random));
    on_each_target([&] {
      std::vector<std::int32_t> products(32);
      directions.multiply(vector.data(), products.data());
      for (std::size_t k = 0; k < products.size(); ++k) {
        std::int64_t sum = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          sum += std::int64_t{directions.values()[k * dim + j]} * vector[j];
        }
        ASSERT_EQ(products[k], sum) << dim;
      }
    });
  }
}

// All values at their largest, along the direction: the largest sum that can be.
TEST(Directions, TheLongestQueryDoesNotOverflow) {
  const std::uint32_t dim = 4096;
  std::vector<std::int16_t> values(std::size_t{dim} * 16, 33);
  ASSERT_TRUE(Directions::is_length(std::span(values).first(dim)));
  const Directions directions(dim, std::move(values));
  const std::vector<std::int16_t> query(dim, 8191);
  on_each_target([&] {
    std::vector<std::int32_t> products(16);
    directions.multiply(query.data(), products.data());
    EXPECT_EQ(products[0], 33 * 8191 * 4096);
  });
}

TEST(Directions, LengthsAreToldFromOthers) {
  std::vector<std::int16_t> values(64, 256);
  EXPECT_TRUE(Directions::is_length(values));
  values.assign(64, 240);
  EXPECT_FALSE(Directions::is_length(values));
  values.assign(64, 32767);
  EXPECT_FALSE(Directions::is_length(values));
  values.assign(64, 0);
  EXPECT_FALSE(Directions::is_length(values));
}

}  // namespace
}  // namespace varve::kernels
