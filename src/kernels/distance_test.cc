#include "kernels/distance.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "kernels/kernels_test_util.h"

namespace varve::kernels {
namespace {

std::vector<std::uint32_t> tested_dims() {
  std::vector<std::uint32_t> dims(258);
  std::iota(dims.begin(), dims.end(), 0U);
  dims.insert(dims.end(), {784, 1024, 1536, 4095});
  return dims;
}

struct Truth {
  double sum = 0;
  double of_sizes = 0;  // sum of |term|
};

template <class Term>
Truth truth(std::size_t dim, Term term) {
  Truth result;
  for (std::size_t j = 0; j < dim; ++j) {
    const double value = term(j);
    result.sum += value;
    result.of_sizes += std::abs(value);
  }
  return result;
}

void expect_within_bound(float got, const Truth& want, std::uint32_t dim) {
  const double slack = static_cast<double>(distance_error(dim)) * want.of_sizes;
  EXPECT_LE(std::abs(static_cast<double>(got) - want.sum), slack) << got << " for " << want.sum;
}

void check_against_double(const std::vector<float>& query, const OddRows& odd) {
  const std::uint32_t dim = odd.rows.dim;
  const std::size_t count = odd.rows.count;
  std::vector<float> l2(count + 1, -7), product(count + 1, -7), norm(count + 1, -7);
  squared_l2(query.data(), odd.rows, l2.data());
  inner_product(query.data(), odd.rows, product.data());
  squared_norm(odd.rows, norm.data());
  EXPECT_EQ(l2[count], -7) << "wrote past the end";
  for (std::size_t i = 0; i < count; ++i) {
    const float* row = odd.values.data() + i * dim;
    const auto q = [&](std::size_t j) { return static_cast<double>(query[j]); };
    const auto x = [&](std::size_t j) { return static_cast<double>(row[j]); };
    expect_within_bound(
        l2[i], truth(dim, [&](std::size_t j) { return (q(j) - x(j)) * (q(j) - x(j)); }), dim);
    expect_within_bound(product[i], truth(dim, [&](std::size_t j) { return q(j) * x(j); }), dim);
    expect_within_bound(norm[i], truth(dim, [&](std::size_t j) { return x(j) * x(j); }), dim);
  }
}

TEST(Distance, StaysWithinItsBoundOnEveryTargetTypeAndLength) {
  SCOPED_TRACE(kSeed);
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (const RowType type : kAllTypes) {
      for (const std::uint32_t dim : tested_dims()) {
        SCOPED_TRACE(std::string(to_string(type)) + " x " + std::to_string(dim));
        const OddRows odd(random, 1 + dim % 10, dim, type);
        check_against_double(drawn_query(random, dim), odd);
        if (testing::Test::HasFailure()) return;
      }
    }
  });
}

TEST(Distance, OfARowDoesNotDependOnItsNeighbours) {
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (const std::uint32_t dim : {1U, 17U, 100U, 784U}) {
      const OddRows odd(random, 11, dim, RowType::f32);
      const auto query = drawn_query(random, dim);
      std::vector<float> l2(11), product(11);
      squared_l2(query.data(), odd.rows, l2.data());
      inner_product(query.data(), odd.rows, product.data());
      for (std::size_t i = 0; i < 11; ++i) {
        const float* row = odd.values.data() + i * dim;
        float alone = 0;
        squared_l2(query.data(), odd.rows.sub(i, 1), &alone);
        EXPECT_EQ(bits_of(alone), bits_of(l2[i]));
        EXPECT_EQ(bits_of(squared_l2_one(query.data(), row, dim)), bits_of(l2[i]));
        EXPECT_EQ(bits_of(inner_product_one(query.data(), row, dim)), bits_of(product[i]));
      }
    }
  });
}

TEST(Distance, OfChosenRowsIsThatOfAll) {
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (const RowType type : kAllTypes) {
      for (const std::uint32_t dim : {1U, 17U, 100U, 784U}) {
        const OddRows odd(random, 40, dim, type);
        const auto query = drawn_query(random, dim);
        std::vector<float> l2(40), product(40);
        squared_l2(query.data(), odd.rows, l2.data());
        inner_product(query.data(), odd.rows, product.data());
        for (std::size_t count = 0; count < 12; ++count) {
          std::vector<std::uint32_t> indexes(count);
          for (auto& index : indexes) index = static_cast<std::uint32_t>(random() % 40);
          std::vector<float> some_l2(count), some_product(count);
          squared_l2_at(query.data(), odd.rows, indexes, some_l2.data());
          inner_product_at(query.data(), odd.rows, indexes, some_product.data());
          for (std::size_t i = 0; i < count; ++i) {
            EXPECT_EQ(bits_of(some_l2[i]), bits_of(l2[indexes[i]]));
            EXPECT_EQ(bits_of(some_product[i]), bits_of(product[indexes[i]]));
          }
        }
      }
    }
  });
}

TEST(Distance, OfWholeNumbersIsExact) {
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (const RowType type : {RowType::u8, RowType::i8}) {
      for (const std::uint32_t dim : {1U, 7U, 8U, 31U, 32U, 33U, 63U, 100U, 784U, 4096U}) {
        OddRows odd(random, 9, dim, type);
        std::vector<std::int16_t> query(dim);
        // The last row and the query are as far apart as they can be.
        const int least = type == RowType::u8 ? 0 : -128;
        for (auto& value : query) {
          value = static_cast<std::int16_t>(dim == 4096 ? least + 255
                                                        : static_cast<int>(random() % 256) + least);
        }
        std::fill_n(odd.values.end() - dim, dim, static_cast<float>(least));
        narrow({odd.values.data() + 8 * dim, dim}, type,
               odd.bytes.data() + (odd.rows.row(8) - odd.bytes.data()));
        for (std::size_t count = 0; count < 12; ++count) {
          std::vector<std::uint32_t> indexes(count), found(count);
          for (auto& index : indexes) index = static_cast<std::uint32_t>(random() % 9);
          if (count > 0) indexes.back() = 8;
          squared_l2_whole_at(query.data(), odd.rows, indexes, found.data());
          for (std::size_t i = 0; i < count; ++i) {
            std::int64_t wanted = 0;
            for (std::size_t j = 0; j < dim; ++j) {
              const auto row = static_cast<std::int64_t>(odd.values[indexes[i] * dim + j]);
              wanted += (query[j] - row) * (query[j] - row);
            }
            EXPECT_EQ(found[i], wanted) << dim;
          }
        }
      }
    }
  });
}

TEST(Distance, BoundIsTightEnoughToBeUseful) {
  EXPECT_LT(distance_error(784), 7e-6F);
  EXPECT_GT(distance_error(1), 5e-7F);
  EXPECT_LT(distance_error(128), distance_error(129));
}

TEST(Distance, NanAndInfinityComeThrough) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  on_each_target([=] {
    for (const RowType type : {RowType::f32, RowType::f16, RowType::bf16}) {
      for (const std::uint32_t dim : {1U, 7U, 16U, 65U, 100U}) {
        for (std::uint32_t at = 0; at < dim; ++at) {
          std::vector<float> query(dim, 1), values(dim, 2);
          std::vector<std::byte> bytes(dim * element_bytes(type));
          const Rows rows{bytes.data(), 1, bytes.size(), dim, type};
          float l2 = 0, product = 0, norm = 0;
          for (const float special : {kNan, kInfinity}) {
            values[at] = special;
            narrow(values, type, bytes.data());
            squared_l2(query.data(), rows, &l2);
            inner_product(query.data(), rows, &product);
            squared_norm(rows, &norm);
            for (const float got : {l2, product, norm}) {
              EXPECT_EQ(std::isnan(got), std::isnan(special));
              EXPECT_EQ(std::isinf(got), std::isinf(special));
            }
          }
        }
      }
    }
  });
}

TEST(Distance, OfNoRowsWritesNothing) {
  on_each_target([] {
    const float query[3] = {1, 2, 3};
    squared_l2(query, Rows{nullptr, 0, 12, 3, RowType::f32}, nullptr);
  });
}

TEST(ExactDistance, HasTheSameBitsOnEveryTargetAndForEveryType) {
  std::mt19937 random(kSeed);
  for (const RowType type : kAllTypes) {
    for (const std::uint32_t dim : {1U, 8U, 13U, 511U, 513U, 784U, 1536U}) {
      const OddRows odd(random, 2, dim, type);
      const Rows wide = rows_of(odd.values.data(), 2, dim);
      const auto query = drawn_query(random, dim);
      const double l2 = squared_l2_exact(query.data(), wide, 1);
      const double product = inner_product_exact(query.data(), wide, 1);
      const double norm = squared_norm_exact(odd.values.data() + dim, dim);
      on_each_target([&] {
        EXPECT_EQ(squared_l2_exact(query.data(), odd.rows, 1), l2);
        EXPECT_EQ(inner_product_exact(query.data(), odd.rows, 1), product);
        EXPECT_EQ(squared_norm_exact(odd.rows, 1), norm);
      });
    }
  }
}

TEST(ExactDistance, SumsEightInterleavedLanes) {
  // Lane 0 holds 1 and 2^60, lane 1 holds -2^60 alone: any other order loses the 1 differently.
  std::vector<float> row(16, 0), query(16, 1);
  row[0] = 1;
  row[8] = 0x1p60F;
  row[1] = -0x1p60F;
  EXPECT_EQ(inner_product_exact(query.data(), rows_of(row.data(), 1, 16), 0), 0);
  row[8] = 0;
  row[4] = 0x1p60F;
  row[1] = 0;
  row[2] = -0x1p60F;
  EXPECT_EQ(inner_product_exact(query.data(), rows_of(row.data(), 1, 16), 0), 0);
  EXPECT_EQ(squared_l2_exact(query.data(), rows_of(query.data(), 1, 16), 0), 0);
}

TEST(AddTo, AddsEveryValue) {
  on_each_target([] {
    for (std::uint32_t dim = 0; dim < 70; ++dim) {
      std::vector<float> row(dim), sums(dim + 1, 1);
      std::iota(row.begin(), row.end(), 0.0F);
      add_to(row.data(), dim, sums.data());
      for (std::uint32_t j = 0; j < dim; ++j) EXPECT_EQ(sums[j], static_cast<float>(j + 1));
      EXPECT_EQ(sums[dim], 1);
    }
  });
}

// The child starts anew, so what it prints was decided by the environment alone.
TEST(TargetDeathTest, TheEnvironmentForcesATarget) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::pair<const char*, const char*> names[] = {
      {"scalar", "SCALAR"}, {"sse4", "SSE4"}, {"avx2", "AVX2"}, {"avx3", "AVX3"}};
  const auto supported = supported_targets();
  for (const auto& [name, shown] : names) {
    if (std::find(supported.begin(), supported.end(), name) == supported.end()) continue;
    ASSERT_EQ(setenv("VARVE_KERNELS_TARGET", name, 1), 0);
    EXPECT_EXIT(
        {
          std::fprintf(stderr, "uses %s.", std::string(active_target()).c_str());
          std::_Exit(0);
        },
        testing::ExitedWithCode(0), std::string("uses ") + shown + ".");
  }
  ASSERT_EQ(unsetenv("VARVE_KERNELS_TARGET"), 0);
}

TEST(Target, AnUnknownNameChangesNothing) {
  const auto before = active_target();
  EXPECT_FALSE(use_target("avx9"));
  EXPECT_FALSE(use_target(""));
  EXPECT_EQ(active_target(), before);
}

TEST(Target, EachSupportedOneIsReallyUsed) {
  const auto names = supported_targets();
  std::vector<std::string> used;
  on_each_target([&] { used.emplace_back(active_target()); });
  ASSERT_EQ(used.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_STRCASEEQ(used[i].c_str(), names[i].data());
}

}  // namespace
}  // namespace varve::kernels
