// Generated vectors for the tests and benches of this module.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace varve::ann {

struct Generated {
  std::uint32_t dim = 0;
  std::vector<float> values;  // row-major

  std::size_t count() const { return values.size() / dim; }
  const float* row(std::size_t i) const { return values.data() + i * dim; }
};

inline float normal(base::Random& random) {
  // Box-Muller; unit() may be 0, whose logarithm is not finite.
  const double u = 1.0 - random.unit();
  const double angle = 6.283185307179586 * random.unit();
  return static_cast<float>(std::sqrt(-2 * std::log(u)) * std::cos(angle));
}

struct Shape {
  std::size_t rows = 0;
  std::uint32_t dim = 0;
  std::uint32_t clumps = 32;  // Gaussian clumps of different sizes and widths
  std::uint32_t latent = 8;   // dimensions in which the rows of a clump really differ
};

// Rows around random centres; within a clump they spread mostly over `latent` directions that the
// whole set shares, as the vectors of real models do. Rows of one seed and shape continue those of
// a smaller one: take the first as rows and the rest as queries.
inline Generated generate(const Shape& shape, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<float> basis(std::size_t{shape.latent} * shape.dim);
  for (float& x : basis) x = normal(random);
  std::vector<float> centres(std::size_t{shape.clumps} * shape.dim);
  for (float& x : centres) x = 4 * normal(random);
  Generated made{shape.dim, std::vector<float>(shape.rows * shape.dim)};
  for (std::size_t i = 0; i < shape.rows; ++i) {
    // The square makes some clumps many times larger than others.
    const double u = random.unit();
    const auto clump = static_cast<std::size_t>(u * u * shape.clumps);
    float* row = made.values.data() + i * shape.dim;
    for (std::uint32_t j = 0; j < shape.dim; ++j) {
      row[j] = centres[clump * shape.dim + j] + 0.1F * normal(random);
    }
    for (std::uint32_t l = 0; l < shape.latent; ++l) {
      const float weight = normal(random);
      for (std::uint32_t j = 0; j < shape.dim; ++j) row[j] += weight * basis[l * shape.dim + j];
    }
  }
  return made;
}

// The distribution of bench/generate_clustered.py: 400 clusters of unequal sizes that overlap in 16
// dimensions, mapped into `dim`, with a little noise. `spread`: of their middles.
inline Generated generate_overlapping(std::size_t rows, std::uint32_t dim, std::uint64_t seed,
                                      float spread = 1) {
  constexpr std::size_t kClusters = 400, kLatent = 16;
  base::Random random(seed);
  std::vector<float> middles(kClusters * kLatent), widths(kClusters), map(kLatent * dim);
  for (float& x : middles) x = spread * normal(random);
  for (float& x : widths) x = std::exp(0.4F * normal(random));
  for (float& x : map) x = normal(random) / 4;
  std::vector<double> ends;
  double sum = 0;
  for (std::size_t c = 1; c <= kClusters; ++c) {
    ends.push_back(sum += std::pow(static_cast<double>(c), -0.8));
  }
  Generated made{dim, std::vector<float>(rows * dim)};
  for (std::size_t i = 0; i < rows; ++i) {
    const auto cluster = static_cast<std::size_t>(
        std::lower_bound(ends.begin(), ends.end(), random.unit() * sum) - ends.begin());
    float* const row = made.values.data() + i * dim;
    for (std::uint32_t j = 0; j < dim; ++j) row[j] = 0.05F * normal(random);
    for (std::size_t l = 0; l < kLatent; ++l) {
      const float place = middles[cluster * kLatent + l] + widths[cluster] * normal(random);
      for (std::uint32_t j = 0; j < dim; ++j) row[j] += place * map[l * dim + j];
    }
  }
  return made;
}

}  // namespace varve::ann
