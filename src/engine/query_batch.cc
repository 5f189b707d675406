#include "engine/query_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "engine/validate.h"

namespace varve::engine {
namespace {

// Pieces of a batch for each thread: enough that all threads end together.
constexpr std::size_t kPiecesPerThread = 8;

std::string name_of(std::size_t number) { return fmt::format("number {} of the batch", number); }

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

Status ask_all(base::Pool& pool, std::size_t count, const std::function<Status(std::size_t)>& ask) {
  const std::size_t pieces = std::min(count, pool.width() * kPiecesPerThread);
  std::atomic<bool> has_failed = false;
  Status status;  // written by the one that sets has_failed
  pool.parallel_for(pieces, [&](std::size_t piece) {
    for (std::size_t i = piece * count / pieces; i < (piece + 1) * count / pieces; ++i) {
      if (has_failed.load(std::memory_order_relaxed)) return;
      const Status asked = ask(i);
      if (asked || has_failed.exchange(true)) continue;
      status = tl::unexpected(asked.error().with_context(name_of(i)));
    }
  });
  return status;
}

}  // namespace varve::engine
