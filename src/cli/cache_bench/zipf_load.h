// A skewed load on a storage of vectors, and where its gets were answered.
#pragma once

#include <functional>

#include "varve/cache/vector_storage.h"

namespace varve::cli::cache_bench {

struct ZipfLoad {
  cache::VectorStorageOptions options;
  std::size_t keys = 0;
  std::size_t dim = 0;
  double exponent = 1.1;
  std::size_t warm_up = 0, gets = 0;
  // Told now and then how many of warm_up + gets are done, with the state; may be null.
  std::function<void(std::size_t done, const cache::LayeredStats&)> watch;
};

struct ZipfAnswer {
  cache::LayeredStats before, after;    // the gets that count; `before` them: the warm-up
  double bound = 0;                     // what the best keys for the first tier would have had
  double hits(std::size_t tier) const;  // share of the gets
  std::uint64_t store_reads() const { return after.loads - before.loads; }
};

// Puts all vectors, each drawn from its number, and asks for them one at a time.
Result<ZipfAnswer> run_zipf(const ZipfLoad& load);

// Vectors of unit norm, the same for the same number.
std::vector<float> drawn_vector(std::size_t number, std::size_t dim);

}  // namespace varve::cli::cache_bench
