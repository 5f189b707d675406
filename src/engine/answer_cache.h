// Answers that were given before, for as long as nothing was written since.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "engine/view.h"
#include "format/uuid.h"
#include "varve/cache/tier.h"
#include "varve/types.h"

namespace varve::engine {

// All that an answer depends on, byte for byte: the index, its moment, the query, the options. Any
// write moves the view on, so that an older answer is never found again; eviction takes it away.
std::string question_of(const format::Uuid& index, const View& view, std::span<const float> query,
                        const QueryOptions& options);

// Thread-safe; one for all indexes of a database.
class AnswerCache {
 public:
  // Answers and bookkeeping together take at most so many bytes.
  explicit AnswerCache(std::uint64_t bytes_max);

  // With the hits and the certainty of the answer that was kept; its costs are those of that time
  // and not of this.
  std::optional<QueryResult> find(const std::string& question);
  void keep(const std::string& question, const QueryResult& answer);

  cache::TierStats stats() const { return tier_->stats(); }
  std::uint64_t bytes_max() const { return tier_->capacity().bytes; }

 private:
  const std::unique_ptr<cache::Tier> tier_;
};

}  // namespace varve::engine
