#include "ann/train_directions.h"

#include <gtest/gtest.h>

#include "ann/test_data.h"

namespace varve::ann {
namespace {

constexpr std::uint64_t kSeed = 3;

struct Trained {
  Generated rows;
  CentroidSet centroids;
  kernels::Rotation rotation;

  explicit Trained(const Shape& shape) : rows(generate(shape, kSeed)), rotation(shape.dim, kSeed) {
    const auto pool = base::make_inline_pool();
    const KMeansOptions options{.clusters = 8, .seed = kSeed};
    centroids = CentroidSet(kmeans(view(), rows.dim, options, *pool), rows.dim);
  }
  kernels::MatrixView view() const { return {rows.values.data(), rows.count(), rows.dim}; }
  std::uint32_t words_a_bit() const { return rotation.padded_dim() / 64; }
  kernels::Directions directions(std::uint32_t extra_words, std::size_t threads = 1) const {
    const auto pool = base::make_thread_pool(threads);
    return train_directions(view(), centroids, rotation, extra_words, kSeed, *pool);
  }
};

// Of the squares of what lies between rows and their centroids, the share along the directions.
double share_along(const Trained& trained, const kernels::Directions& directions) {
  std::vector<std::uint32_t> nearest(trained.rows.count());
  const auto pool = base::make_inline_pool();
  trained.centroids.assign(trained.view(), nearest, {}, *pool);
  std::vector<float> difference(trained.rows.dim), rotated(directions.padded_dim());
  std::vector<float> along(directions.count());
  double all = 0, found = 0;
  for (std::size_t i = 0; i < trained.rows.count(); i += 7) {
    for (std::size_t j = 0; j < difference.size(); ++j) {
      difference[j] = trained.rows.row(i)[j] - trained.centroids.centroid(nearest[i])[j];
      all += static_cast<double>(difference[j]) * static_cast<double>(difference[j]);
    }
    trained.rotation.apply(difference.data(), rotated.data());
    directions.project(rotated.data(), along.data());
    for (const float x : along) found += static_cast<double>(x) * static_cast<double>(x);
  }
  return found / all;
}

TEST(TrainDirections, FindsThoseThatRowsLieAlong) {
  const Trained trained({.rows = 3000, .dim = 400, .clumps = 8, .latent = 20});
  const auto directions = trained.directions(3 * trained.words_a_bit());
  // 20 directions hold nearly all; they come by sixteens.
  EXPECT_EQ(directions.count(), 32U);
  EXPECT_EQ(directions.padded_dim(), 448U);
  EXPECT_GT(share_along(trained, directions), 0.98);
}

TEST(TrainDirections, AreNoneWhereRowsLieAlongNone) {
  const Trained spread({.rows = 3000, .dim = 400, .clumps = 1, .latent = 0});
  EXPECT_EQ(spread.directions(3 * spread.words_a_bit()).count(), 0U);
}

TEST(TrainDirections, LeaveTheGridABitBesideTheSign) {
  const Trained trained({.rows = 2000, .dim = 400, .clumps = 8, .latent = 20});
  const std::uint32_t bit = trained.words_a_bit();
  EXPECT_EQ(trained.directions(0).count(), 0U);
  EXPECT_EQ(trained.directions(bit).count(), 0U);
  EXPECT_EQ(trained.directions(bit + 1).count(), 16U);
  EXPECT_EQ(trained.directions(bit + 2).count(), 32U);
}

TEST(TrainDirections, AreNoneOfFewRowsOrFewDimensions) {
  const Trained few({.rows = 1000, .dim = 400, .clumps = 8, .latent = 20});
  EXPECT_EQ(few.directions(3 * few.words_a_bit()).count(), 0U);
  const Trained narrow({.rows = 3000, .dim = 128, .clumps = 8, .latent = 8});
  EXPECT_EQ(narrow.directions(3 * narrow.words_a_bit()).count(), 0U);
}

TEST(TrainDirections, RowsThatAreTheirCentroidsHaveNone) {
  Trained trained({.rows = 2000, .dim = 400, .clumps = 8, .latent = 20});
  for (std::size_t i = 0; i < trained.rows.count(); ++i) {
    const auto centroid = trained.centroids.centroid(i % 8);
    std::copy(centroid.begin(), centroid.end(),
              trained.rows.values.begin() + static_cast<std::ptrdiff_t>(i * 400));
  }
  EXPECT_EQ(trained.directions(3 * trained.words_a_bit()).count(), 0U);
}

TEST(TrainDirections, AreTheSameOnAnyNumberOfThreads) {
  const Trained trained({.rows = 2000, .dim = 300, .clumps = 8, .latent = 12});
  const auto one = trained.directions(3 * trained.words_a_bit(), 1);
  const auto three = trained.directions(3 * trained.words_a_bit(), 3);
  ASSERT_EQ(one.count(), 16U);
  EXPECT_TRUE(std::equal(one.values().begin(), one.values().end(), three.values().begin(),
                         three.values().end()));
}

}  // namespace
}  // namespace varve::ann
