#include "engine/train.h"

#include "ann/train_directions.h"

namespace varve::engine {

format::Centroids train_centroids(std::span<const float> rows, std::uint32_t dim,
                                  std::uint32_t clusters, std::uint32_t first_id,
                                  std::uint64_t seed, base::Pool& pool) {
  const kernels::MatrixView sample{rows.data(), rows.size() / dim, dim};
  const auto values = ann::kmeans(sample, dim, {.clusters = clusters, .seed = seed}, pool);
  const ann::CentroidSet set(values, dim);
  format::Centroids trained;
  trained.dim = dim;
  for (const std::uint32_t old : ann::locality_order(set, seed, pool)) {
    const auto centroid = set.centroid(old);
    trained.values.insert(trained.values.end(), centroid.begin(), centroid.end());
    trained.clusters.push_back(first_id + static_cast<std::uint32_t>(trained.clusters.size()));
  }
  return trained;
}

std::shared_ptr<const kernels::Directions> train_directions(std::span<const float> rows,
                                                            const ann::CentroidSet& centroids,
                                                            const ann::CodeConfig& config,
                                                            base::Pool& pool) {
  if (config.extra_words == 0) return std::make_shared<const kernels::Directions>();
  const kernels::Rotation rotation(config.dim, config.seed);
  return std::make_shared<const kernels::Directions>(
      ann::train_directions({rows.data(), rows.size() / config.dim, config.dim}, centroids,
                            rotation, config.extra_words, config.seed, pool));
}

}  // namespace varve::engine
