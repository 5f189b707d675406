// `varve bench queries`: a skewed load on an index, and which tier of the cache answers it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "varve/database.h"

namespace varve::cli {

struct QueryLoad {
  std::uint64_t count = 10'000;
  double zipf = 1.0;  // exponent of the popularity of the queries by rank; 0: all alike
  std::uint64_t seed = 1;
  QueryOptions options;
};

struct QueryLoadReport {
  double p50_us = 0, p99_us = 0, qps = 0;
  std::uint64_t store_requests = 0, store_bytes = 0;
  std::uint64_t kept_answers = 0;  // of these queries, those that needed no search
  // Sections by where they came from, from the dearest tier to the store.
  std::vector<TierReads> tier_reads;
  // Of all keys and distances in the order of the queries: equal loads on equal data give equal
  // ones.
  std::string answers_hash;
};

// Asks one at a time. Which query is popular is drawn from the seed.
Result<QueryLoadReport> run_query_load(Index& index, std::span<const std::vector<float>> queries,
                                       const QueryLoad& load, const ProgressSink& progress);

}  // namespace varve::cli
