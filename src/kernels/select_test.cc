#include "kernels/select.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/kernels_test_util.h"

namespace varve::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> drawn_values(std::mt19937& random, std::size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 50);
  return values;
}

TEST(Select, FindsThePlacesWithinALimit) {
  SCOPED_TRACE(kSeed);
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (std::size_t count = 0; count < 150; ++count) {
      auto values = drawn_values(random, count);
      if (count > 3) values[random() % count] = kNan;
      for (const float limit : {-1.0F, 0.0F, 25.0F, 49.0F, kInfinity}) {
        std::vector<std::uint32_t> found(count + 1), wanted;
        for (std::uint32_t i = 0; i < count; ++i) {
          if (!(values[i] > limit)) wanted.push_back(i);
        }
        found.resize(places_within(values, limit, found.data()));
        EXPECT_EQ(found, wanted);
      }
    }
  });
}

TEST(Select, FindsTheFirstOfTheLeast) {
  SCOPED_TRACE(kSeed);
  on_each_target([] {
    std::mt19937 random(kSeed);
    for (std::size_t count = 1; count < 150; ++count) {
      auto values = drawn_values(random, count);
      const auto least = std::min_element(values.begin(), values.end()) - values.begin();
      EXPECT_EQ(place_of_least(values), static_cast<std::size_t>(least));
      // Those before and after it may be NaN.
      for (std::size_t i = 0; i < count; ++i) {
        if (i != static_cast<std::size_t>(least) && random() % 2 == 0) values[i] = kNan;
      }
      EXPECT_EQ(place_of_least(values), static_cast<std::size_t>(least));
    }
    EXPECT_EQ(place_of_least({}), 0U);
    EXPECT_EQ(place_of_least(std::vector<float>(40, kNan)), 0U);
    EXPECT_EQ(place_of_least(std::vector<float>(40, kInfinity)), 0U);
  });
}

// How many of all are below what is found decides how good it is.
TEST(Select, TheKthLeastIsFoundOrOneOfTheNextFew) {
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  std::size_t beyond = 0, asked = 0;
  for (std::size_t count = 1; count < 4000; count += 1 + count / 9) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random() % 100'000) - 50'000;
    if (count > 3) values[random() % count] = kNan;
    if (count > 5) values[random() % count] = -kInfinity;
    std::vector<float> sorted;
    for (const float value : values) sorted.push_back(value < kInfinity ? value : kInfinity);
    std::sort(sorted.begin(), sorted.end());
    for (const std::size_t k : {1U, 2U, 9U, 16U, 17U, 30U, 40U, 41U, 80U, 333U, 3000U}) {
      float first = kNan;
      on_each_target([&] {
        const float found = about_kth_least(values, k);
        if (std::isnan(first)) first = found;
        EXPECT_EQ(found, first) << count << ", " << k;
      });
      const float wanted = k <= count ? sorted[k - 1] : kInfinity;
      EXPECT_GE(first, wanted) << count << ", " << k;
      if (k > count) continue;
      const auto place = std::lower_bound(sorted.begin(), sorted.end(), first) - sorted.begin();
      beyond += static_cast<std::size_t>(place) - (k - 1);
      asked += k;
    }
  }
  EXPECT_LT(beyond, asked / 8);
}

TEST(Select, TheKthLeastOfManyIsFoundWhateverTheirRange) {
  on_each_target([&] {
    std::vector<float> values(300, 7.0F);
    EXPECT_EQ(about_kth_least(values, 50), 7);
    values[11] = kNan;
    values[12] = kInfinity;
    EXPECT_EQ(about_kth_least(values, 298), 7);
    EXPECT_EQ(about_kth_least(values, 299), kInfinity);
    // A hundred that are near, beside one so far that most of the range is empty.
    for (std::size_t i = 0; i < 100; ++i) values[i] = 1 + static_cast<float>(i) * 0x1p-20F;
    values[200] = std::numeric_limits<float>::max();
    values[201] = -values[200];
    const float found = about_kth_least(values, 64);
    EXPECT_GE(found, values[62]);
    EXPECT_LE(found, values[66]);
    EXPECT_EQ(about_kth_least(std::vector<float>(100, kNan), 50), kInfinity);
  });
}

}  // namespace
}  // namespace varve::kernels
