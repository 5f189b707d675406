#include "cli/cache_bench/zipf_load.h"

#include <fmt/format.h>

#include <cmath>
#include <random>

#include "base/result.h"
#include "cli/cache_bench/zipf.h"

namespace varve::cli::cache_bench {
namespace {

using cache::EfficientVectorStorage;

std::string key_of(std::size_t number) { return fmt::format("vector/{}", number); }

Status put_all(EfficientVectorStorage& storage, const ZipfLoad& load) {
  constexpr std::size_t kPerBatch = 256;
  for (std::size_t begin = 0; begin < load.keys; begin += kPerBatch) {
    const std::size_t end = std::min(load.keys, begin + kPerBatch);
    std::vector<std::string> names;
    std::vector<std::vector<float>> vectors;
    for (std::size_t i = begin; i < end; ++i) {
      names.push_back(key_of(i));
      vectors.push_back(drawn_vector(i, load.dim));
    }
    const std::vector<std::string_view> keys(names.begin(), names.end());
    const std::vector<std::span<const float>> spans(vectors.begin(), vectors.end());
    VARVE_CHECK(storage.put_batch(keys, spans));
  }
  return {};
}

}  // namespace

std::vector<float> drawn_vector(std::size_t number, std::size_t dim) {
  std::mt19937_64 random(number);
  std::normal_distribution<float> normal;
  std::vector<float> vector(dim);
  float squares = 0;
  for (float& value : vector) {
    value = normal(random);
    squares += value * value;
  }
  for (float& value : vector) value /= std::sqrt(squares);
  return vector;
}

double ZipfAnswer::hits(std::size_t tier) const {
  const auto in = [](const cache::LayeredStats& stats, std::size_t number) {
    return number < stats.tiers.size() ? stats.tiers[number].stats.hits : 0;
  };
  // Every get asks the first tier.
  const auto asked = [](const cache::LayeredStats& stats) {
    return stats.tiers[0].stats.hits + stats.tiers[0].stats.misses;
  };
  return static_cast<double>(in(after, tier) - in(before, tier)) /
         static_cast<double>(asked(after) - asked(before));
}

Result<ZipfAnswer> run_zipf(const ZipfLoad& load) {
  constexpr std::size_t kWatchEvery = 8192;
  VARVE_TRY(const auto storage, EfficientVectorStorage::open(load.options));
  VARVE_CHECK(put_all(*storage, load));
  Zipf zipf(load.keys, load.exponent, 1);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < load.keys; ++i) keys.push_back(key_of(i));
  ZipfAnswer answer;
  for (std::size_t i = 0; i < load.warm_up + load.gets; ++i) {
    if (i == load.warm_up) answer.before = storage->stats();
    if (load.watch && i % kWatchEvery == 0) load.watch(i, storage->stats());
    VARVE_TRY(const auto vector, storage->get(keys[zipf.next()]));
    if (vector.values().size() != load.dim) {
      return fail(ErrorKind::internal, "a vector that was put is not there");
    }
  }
  answer.after = storage->stats();
  answer.bound = zipf.share_of_first(answer.after.tiers[0].stats.items);
  return answer;
}

}  // namespace varve::cli::cache_bench
