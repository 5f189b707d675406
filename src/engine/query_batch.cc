#include "engine/query_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <string>
#include <vector>

#include "engine/coded_scan.h"
#include "engine/validate.h"

namespace varve::engine {
namespace {

// Queries that a thread takes at a time: many, so that neighbours stay together; few, so that all
// threads end together.
constexpr std::size_t kPieceMax = 64;
constexpr std::size_t kPiecesPerThread = 8;

struct Scratch {
  CodedScan coded;
  std::vector<ann::CentroidSet::Ranked> ranked;
};
thread_local Scratch scratch;

std::size_t piece_of(std::size_t count, const base::Pool& pool) {
  return std::clamp<std::size_t>(count / (pool.width() * kPiecesPerThread), 1, kPieceMax);
}

std::string name_of(std::size_t number) { return fmt::format("number {} of the batch", number); }

// Calls use(i) for each i in [0, count), piece by piece.
template <typename Use>
void each(std::size_t count, base::Pool& pool, const Use& use) {
  const std::size_t piece = piece_of(count, pool);
  pool.parallel_for((count + piece - 1) / piece, [&](std::size_t number) {
    const std::size_t end = std::min(count, (number + 1) * piece);
    for (std::size_t i = number * piece; i < end; ++i) use(i);
  });
}

std::uint32_t nearest_cluster(const Generation& generation, const float* query) {
  scratch.coded.start(*generation.rotation(), query);
  generation.ranking().rank(query, scratch.coded.table(), {1, 1, 0}, scratch.ranked);
  return scratch.ranked[0].index;
}

// Queries by their nearest cluster; as they come where clusters are not ranked by codes.
std::vector<std::uint32_t> order_of(const Generation& generation, base::Pool& pool,
                                    std::span<const float> vectors, std::size_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  if (generation.rotation() == nullptr || generation.cluster_ids().size() < 2) return order;
  std::vector<std::uint32_t> clusters(count);
  const std::uint32_t dim = generation.manifest().dim;
  each(count, pool,
       [&](std::size_t i) { clusters[i] = nearest_cluster(generation, vectors.data() + i * dim); });
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return clusters[a] < clusters[b]; });
  return order;
}

}  // namespace

Result<std::size_t> validate_batch(const Generation& generation, std::span<const float> vectors,
                                   const QueryOptions& options) {
  const IndexConfig config = config_of(generation.manifest());
  if (vectors.size() % config.dim != 0) {
    return fail(ErrorKind::invalid, fmt::format("{} values are not queries of dimension {}",
                                                vectors.size(), config.dim));
  }
  const std::size_t count = vectors.size() / config.dim;
  for (std::size_t i = 0; i < count; ++i) {
    const auto valid = validate_query(vectors.subspan(i * config.dim, config.dim), options, config);
    if (!valid) return tl::unexpected(valid.error().with_context(name_of(i)));
  }
  return count;
}

Status ask_all(const Generation& generation, base::Pool& pool, std::span<const float> vectors,
               const AskOne& ask) {
  const std::uint32_t dim = generation.manifest().dim;
  const std::size_t count = vectors.size() / dim;
  const std::vector<std::uint32_t> order = order_of(generation, pool, vectors, count);
  std::atomic<bool> has_failed = false;
  Status status;  // written by the one that sets has_failed
  each(count, pool, [&](std::size_t i) {
    if (has_failed.load(std::memory_order_relaxed)) return;
    const std::size_t number = order[i];
    const Status asked = ask(number, vectors.subspan(number * dim, dim));
    if (asked || has_failed.exchange(true)) return;
    status = tl::unexpected(asked.error().with_context(name_of(number)));
  });
  return status;
}

}  // namespace varve::engine
