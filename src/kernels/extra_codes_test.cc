#include "kernels/extra_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/kernels_test_util.h"
#include "kernels/short_floats.h"
#include "kernels/sign_codes.h"

namespace varve::kernels {
namespace {

constexpr ExtraShape kShapes[] = {
    {64, 1, 0},    {64, 7, 0},       {128, 2, 64},     {192, 3, 0},      {448, 2, 448},
    {768, 2, 448}, {768, 3, 0},      {832, 5, 192},    {1024, 4, 1024},  {1536, 6, 1472},
    {4096, 7, 0},  {192, 1, 64, 16}, {768, 2, 64, 48}, {4096, 2, 0, 128}};

// Unlike each other, but not at right angles.
Directions drawn_directions(std::mt19937& random, const ExtraShape& shape) {
  std::vector<float> units;
  for (std::uint32_t k = 0; k < shape.directions; ++k) {
    auto unit = drawn_query(random, shape.padded_dim);
    double squares = 0;
    for (const float x : unit) squares += static_cast<double>(x) * static_cast<double>(x);
    for (const float x : unit) units.push_back(x / static_cast<float>(std::sqrt(squares)));
  }
  return Directions::from_units(shape.padded_dim, units);
}

// One row about its centroid, and a query, all rotated.
struct Row {
  ExtraShape shape;
  Directions directions;
  std::vector<float> difference, centroid, query;
  std::vector<std::byte> block, extra;

  Row(std::mt19937& random, const ExtraShape& chosen, std::size_t place)
      : shape(chosen),
        directions(drawn_directions(random, chosen)),
        difference(drawn_query(random, chosen.padded_dim)),
        centroid(drawn_query(random, chosen.padded_dim)),
        query(drawn_query(random, chosen.padded_dim)) {
    encode(place);
  }
  void encode(std::size_t place) {
    block.assign(sign_block_bytes(shape.padded_dim), std::byte{0});
    extra.assign(extra_row_bytes(shape), std::byte{0});
    encode_signs(difference.data(), centroid.data(), shape.padded_dim, place, block.data());
    std::vector<float> along(directions.count());
    directions.project(centroid.data(), along.data());
    encode_extra(difference.data(), {centroid.data(), along.data()}, shape, directions,
                 extra.data());
  }
  double to_centroid() const {
    double sum = 0;
    for (std::size_t j = 0; j < query.size(); ++j) {
      const double apart = static_cast<double>(query[j]) - static_cast<double>(centroid[j]);
      sum += apart * apart;
    }
    return sum;
  }
  double distance() const {
    double sum = 0;
    for (std::size_t j = 0; j < query.size(); ++j) {
      const double apart = static_cast<double>(query[j]) - static_cast<double>(centroid[j]) -
                           static_cast<double>(difference[j]);
      sum += apart * apart;
    }
    return sum;
  }
  ExtraEstimate estimate(std::size_t place) const {
    ExtraQuery asked;
    asked.set(query.data(), shape, directions);
    return asked.estimate(block.data(), place, extra.data(), static_cast<float>(to_centroid()));
  }
};

// Bit by bit, as the header describes the planes.
unsigned bits_at(const std::byte* plane, std::size_t dim, unsigned width, std::size_t j) {
  const std::size_t words = dim * width / 16;
  std::uint16_t word;
  std::memcpy(&word, plane + 2 * (j % words), sizeof(word));
  return word >> (j / words * width) & ((1U << width) - 1);
}

// The point of the grid, in half steps, from the bytes alone.
std::vector<double> decoded(const Row& row) {
  const ExtraShape& shape = row.shape;
  std::vector<double> values(shape.padded_dim);
  for (std::size_t j = 0; j < values.size(); ++j) {
    const std::byte* plane = row.extra.data();
    unsigned bits = 0;
    for (const unsigned width : {4U, 2U, 1U}) {
      if ((shape.bits & width) == 0) continue;
      bits = bits << width | bits_at(plane, shape.padded_dim, width, j);
      plane += shape.padded_dim * width / 8;
    }
    const bool is_set = !(row.difference[j] < 0);
    const unsigned step = is_set ? bits : (1U << shape.bits) - 1 - bits;
    double size = 4 * step + 2;
    if (j < shape.wider_dims) {
      const bool is_upper = (bits_at(plane, shape.wider_dims, 1, j) != 0) == is_set;
      size = 4 * step + (is_upper ? 3 : 1);
    }
    values[j] = is_set ? size : -size;
  }
  return values;
}

// What the planes behind those of the grid say of its error, in the unit of the row.
std::vector<double> decoded_error(const Row& row) {
  const ExtraShape& shape = row.shape;
  std::vector<double> error(shape.padded_dim);
  const std::byte* const factors = row.extra.data() + row.extra.size() - kExtraFactorBytes;
  std::uint16_t bound;
  std::memcpy(&bound, factors + 6, sizeof(bound));
  const double step = static_cast<double>(float_of_bf16(bound)) / 3.8 * 43 / 128;
  for (std::uint32_t k = 0; k < shape.directions; ++k) {
    const unsigned number = bits_at(factors - shape.directions / 2, shape.directions, 4, k);
    for (std::size_t j = 0; j < error.size(); ++j) {
      const double unit = row.directions.values()[k * error.size() + j] / 2048.0;
      error[j] += step * (number - 7.5) * unit;
    }
  }
  return error;
}

double product(const std::vector<double>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += a[j] * static_cast<double>(b[j]);
  return sum;
}
double squares(const std::vector<double>& a) {
  double sum = 0;
  for (const double value : a) sum += value * value;
  return sum;
}

TEST(ExtraCodes, EstimatesAsTheFormulaSays) {
  std::mt19937 random(kSeed);
  on_each_target([&] {
    for (const ExtraShape& shape : kShapes) {
      for (const std::size_t place : {0U, 15U, 16U, 31U}) {
        const Row row(random, shape, place);
        const auto point = decoded(row);
        const auto error = decoded_error(row);
        const std::vector<double> exact(row.difference.begin(), row.difference.end());
        const double rescale = squares(exact) / product(point, row.difference);
        const double wanted =
            squares(exact) + row.to_centroid() -
            2 * rescale * (product(point, row.query) - product(point, row.centroid)) -
            2 * (product(error, row.query) - product(error, row.centroid));
        // The query in steps of a 2048th or so of a deviation; factors are rounded in their 17th
        // bit.
        const double of_factors = squares(exact) +
                                  2 * rescale * std::abs(product(point, row.query)) +
                                  4 * rescale * std::abs(product(point, row.centroid));
        EXPECT_NEAR(static_cast<double>(row.estimate(place).estimate), wanted,
                    0.004 * std::sqrt(shape.padded_dim) + 1e-5 * of_factors)
            << shape.padded_dim << ' ' << shape.bits << ' ' << shape.wider_dims;
      }
    }
  });
}

TEST(ExtraCodes, WordsTellTheShape) {
  for (const ExtraShape& shape : kShapes) {
    const std::uint32_t words = extra_words(shape);
    EXPECT_EQ(extra_row_bytes(shape), words * 8 + 8);
    const ExtraShape same = extra_shape(shape.padded_dim, words, shape.directions);
    EXPECT_EQ(same.directions, shape.directions);
    EXPECT_EQ(extra_words(same), words);
    // As many bits, but all dimensions with the bit that is wider.
    const bool is_full = shape.wider_dims == shape.padded_dim;
    EXPECT_EQ(same.bits, shape.bits + (is_full ? 1 : 0));
    EXPECT_EQ(same.wider_dims, is_full ? 0 : shape.wider_dims);
  }
}

TEST(ExtraCodes, StoresAndEstimatesTheSameOnEveryTarget) {
  std::mt19937 random(kSeed);
  for (const ExtraShape& shape : kShapes) {
    Row row(random, shape, 7);
    for (std::size_t j = 0; j < row.difference.size(); j += 19) row.difference[j] = -0.0F;
    std::vector<std::byte> first;
    std::uint32_t lower = 0, estimate = 0;
    on_each_target([&] {
      row.encode(7);
      const ExtraEstimate found = row.estimate(7);
      if (first.empty()) {
        first = row.extra;
        lower = bits_of(found.lower);
        estimate = bits_of(found.estimate);
      }
      EXPECT_EQ(row.extra, first);
      EXPECT_EQ(bits_of(found.lower), lower);
      EXPECT_EQ(bits_of(found.estimate), estimate);
    });
  }
}

// 1 - cosine^2 between row and grid, at the best scale of 4000 that reach from the finest grid that
// makes sense to the coarsest.
double least_angle(const Row& row) {
  const double steps = 2 << row.shape.bits;
  double largest = 0, best = 0;
  for (const float x : row.difference)
    largest = std::max(largest, std::abs(static_cast<double>(x)));
  for (int i = 1; i <= 4000; ++i) {
    const double end = largest * i / 4000;
    double with = 0, own = 0, all = 0;
    for (std::size_t j = 0; j < row.difference.size(); ++j) {
      const double size = std::abs(static_cast<double>(row.difference[j]));
      double half = std::min(std::floor(size / end * steps), steps - 1);
      double value = 2 * half + 1;
      if (j >= row.shape.wider_dims) value = 4 * std::floor(half / 2) + 2;
      with += size * value;
      own += value * value;
      all += size * size;
    }
    best = std::max(best, with * with / own / all);
  }
  return 1 - best;
}

TEST(ExtraCodes, TheGridIsNearlyTheBest) {
  std::mt19937 random(kSeed);
  for (const ExtraShape& shape :
       {ExtraShape{768, 1, 0}, {768, 2, 0}, {768, 2, 448}, {768, 3, 0}, {768, 5, 0}, {768, 7, 0}}) {
    double ours = 0, least = 0;
    for (int i = 0; i < 5; ++i) {
      const Row row(random, shape, 0);
      const auto point = decoded(row);
      const std::vector<double> exact(row.difference.begin(), row.difference.end());
      const double with = product(point, row.difference);
      ours += 1 - with * with / squares(point) / squares(exact);
      least += least_angle(row);
    }
    EXPECT_LT(ours, 1.02 * least) << shape.bits << ' ' << shape.wider_dims;
  }
}

// What is stored along the directions is the error of the grid there, to a step.
TEST(ExtraCodes, TheErrorAlongDirectionsIsStored) {
  std::mt19937 random(kSeed);
  for (const ExtraShape& shape : {ExtraShape{768, 1, 0, 64}, {768, 2, 64, 48}}) {
    double left = 0, all = 0;
    for (int i = 0; i < 10; ++i) {
      const Row row(random, shape, 0);
      const auto point = decoded(row);
      const auto stored = decoded_error(row);
      const std::vector<double> exact(row.difference.begin(), row.difference.end());
      const double rescale = squares(exact) / product(point, row.difference);
      for (std::uint32_t k = 0; k < shape.directions; ++k) {
        double error = 0, known = 0;
        for (std::size_t j = 0; j < exact.size(); ++j) {
          const double unit = row.directions.values()[k * exact.size() + j] / 2048.0;
          error += unit * (exact[j] - rescale * point[j]);
          known += unit * stored[j];
        }
        left += (error - known) * (error - known);
        all += error * error;
      }
    }
    // Random directions are not quite at right angles: each holds a little of the others.
    EXPECT_LT(left, 0.12 * all) << shape.bits;
    EXPECT_GT(all, 0);
  }
}

// Rows and queries that lie along the directions, as those of an index do that has them.
TEST(ExtraCodes, DirectionsMakeEstimatesBetterWhereRowsLieAlongThem) {
  std::mt19937 random(kSeed);
  double with = 0, without = 0;
  for (int i = 0; i < 50; ++i) {
    Row row(random, {768, 1, 768, 32}, 3);
    const auto draw_along = [&](std::vector<float>& values) {
      for (float& x : values) x *= 0.01F;
      const auto shares = drawn_query(random, 32);
      for (std::size_t k = 0; k < 32; ++k) {
        for (std::size_t j = 0; j < values.size(); ++j) {
          values[j] += shares[k] * row.directions.values()[k * values.size() + j] / 2048.0F;
        }
      }
    };
    draw_along(row.difference);
    draw_along(row.query);
    draw_along(row.centroid);
    row.encode(3);
    const double distance = row.distance();
    const auto error_of = [&] {
      const double error = static_cast<double>(row.estimate(3).estimate) - distance;
      return error * error;
    };
    with += error_of();
    // The same bytes for the grid alone.
    row.directions = {};
    row.shape = extra_shape(768, extra_words(row.shape), 0);
    row.encode(3);
    without += error_of();
  }
  EXPECT_LT(with, 0.1 * without);
}

TEST(ExtraCodes, BoundsHoldButForAFewAndNarrowWithEachBit) {
  std::mt19937 random(kSeed);
  double width_before = std::numeric_limits<double>::infinity();
  for (const std::uint32_t bits : {1U, 2U, 3U, 4U, 5U, 6U, 7U}) {
    std::size_t broken = 0;
    double width = 0;
    for (int i = 0; i < 400; ++i) {
      const Row row(random, {768, bits, 0}, 0);
      const ExtraEstimate found = row.estimate(0);
      broken += static_cast<double>(found.lower) > row.distance();
      width += static_cast<double>(found.estimate - found.lower);
    }
    // One side of 1.9 spreads of a normal distribution: 2.9 %.
    EXPECT_LT(broken, 24U) << bits;
    EXPECT_LT(width, 0.62 * width_before) << bits;
    width_before = width;
  }
}

TEST(ExtraCodes, ARowOnItsCentroidHasTheDistanceOfTheCentroid) {
  std::mt19937 random(kSeed);
  Row row(random, {128, 3, 0}, 0);
  std::fill(row.difference.begin(), row.difference.end(), 0.0F);
  row.encode(0);
  const ExtraEstimate found = row.estimate(0);
  EXPECT_NEAR(found.estimate, row.to_centroid(), 1e-6 * row.to_centroid());
  EXPECT_EQ(found.lower, found.estimate);
}

TEST(ExtraCodes, OneLargeDimensionIsNotCutOff) {
  std::mt19937 random(kSeed);
  Row row(random, {128, 7, 0}, 0);
  std::fill(row.difference.begin(), row.difference.end(), 0.01F);
  row.difference[77] = -50;
  row.encode(0);
  EXPECT_NEAR(static_cast<double>(row.estimate(0).estimate), row.distance(), 0.01 * row.distance());
}

TEST(ExtraCodes, AQueryOfZerosIsNoSpecialCase) {
  std::mt19937 random(kSeed);
  Row row(random, {128, 3, 64}, 3);
  std::fill(row.query.begin(), row.query.end(), 0.0F);
  EXPECT_NEAR(static_cast<double>(row.estimate(3).estimate), row.distance(), 0.1 * row.distance());
}

TEST(ExtraCodes, WhatOverflowsIsMinusInfinity) {
  std::mt19937 random(kSeed);
  for (const float huge :
       {3e38F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Row row(random, {64, 3, 0}, 3);
    row.difference[5] = huge;
    row.encode(3);
    const ExtraEstimate found = row.estimate(3);
    EXPECT_EQ(found.lower, -std::numeric_limits<float>::infinity()) << huge;
    EXPECT_EQ(found.estimate, -std::numeric_limits<float>::infinity()) << huge;
  }
}

}  // namespace
}  // namespace varve::kernels
