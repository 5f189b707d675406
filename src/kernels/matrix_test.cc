#include <cmath>
#include <limits>

#include "kernels/distance.h"
#include "kernels/kernels_test_util.h"

namespace varve::kernels {
namespace {

struct Shape {
  std::size_t a_count, b_count;
  std::uint32_t dim;
  std::size_t a_gap = 0, b_gap = 0, out_gap = 0;
};

// Each result against double, and the gaps between rows of the result untouched.
void check(const Shape& shape, std::mt19937& random) {
  const auto& [a_count, b_count, dim, a_gap, b_gap, out_gap] = shape;
  SCOPED_TRACE(std::to_string(a_count) + " x " + std::to_string(b_count) + " x " +
               std::to_string(dim));
  const std::size_t a_stride = dim + a_gap, b_stride = dim + b_gap, stride = b_count + out_gap;
  const auto a = drawn_query(random, a_count * a_stride);
  const auto b = drawn_query(random, b_count * b_stride);
  std::vector<float> out(a_count * stride, -7);
  inner_product_matrix({a.data(), a_count, a_stride}, {b.data(), b_count, b_stride}, dim,
                       out.data(), stride);
  for (std::size_t i = 0; i < a_count; ++i) {
    for (std::size_t j = 0; j < stride; ++j) {
      if (j >= b_count) {
        ASSERT_EQ(out[i * stride + j], -7);
        continue;
      }
      double sum = 0, of_sizes = 0;
      for (std::size_t k = 0; k < dim; ++k) {
        const double term =
            static_cast<double>(a[i * a_stride + k]) * static_cast<double>(b[j * b_stride + k]);
        sum += term;
        of_sizes += std::abs(term);
      }
      ASSERT_LE(std::abs(static_cast<double>(out[i * stride + j]) - sum),
                static_cast<double>(matrix_error(dim)) * of_sizes)
          << i << ", " << j;
    }
  }
}

TEST(InnerProductMatrix, EqualsTheNaiveProductForOddShapes) {
  const Shape shapes[] = {{0, 5, 3},
                          {5, 0, 3},
                          {5, 9, 0},
                          {1, 1, 1},
                          {3, 100, 25},
                          {100, 7, 25},
                          {4, 8, 1, 1, 2, 3},
                          {12, 32, 400},
                          {13, 33, 401, 3, 5, 7},
                          {11, 31, 399},
                          {24, 64, 801},
                          {241, 40, 26},
                          {17, 769, 31, 0, 0, 1},
                          {37, 95, 128, 16, 0, 9},
                          {5, 24, 1536}};
  SCOPED_TRACE(kSeed);
  on_each_target([&] {
    std::mt19937 random(kSeed);
    for (const Shape& shape : shapes) check(shape, random);
    for (int i = 0; i < 40; ++i) {
      check({random() % 60, random() % 120, static_cast<std::uint32_t>(random() % 100),
             random() % 3, random() % 3, random() % 3},
            random);
    }
  });
}

TEST(InnerProductMatrix, NanStaysInItsRowAndColumn) {
  on_each_target([] {
    constexpr std::size_t kCount = 50;
    constexpr std::uint32_t kDim = 19;
    std::vector<float> a(kCount * kDim, 1), b(kCount * kDim, 1), out(kCount * kCount);
    a[7 * kDim + 18] = std::numeric_limits<float>::quiet_NaN();
    b[49 * kDim] = std::numeric_limits<float>::infinity();
    inner_product_matrix({a.data(), kCount, kDim}, {b.data(), kCount, kDim}, kDim, out.data(),
                         kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      for (std::size_t j = 0; j < kCount; ++j) {
        const float got = out[i * kCount + j];
        EXPECT_EQ(std::isnan(got), i == 7) << i << ", " << j;
        EXPECT_EQ(std::isinf(got), i != 7 && j == 49) << i << ", " << j;
      }
    }
  });
}

}  // namespace
}  // namespace varve::kernels
