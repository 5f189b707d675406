// Plain data of the public API: what goes into an index and what comes out.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace varve {

// Distances are "smaller is nearer": squared Euclidean distance, or 1 - cosine similarity.
enum class Metric : std::uint8_t { euclidean = 1, cosine = 2 };

// What lies in one cluster: rows that are near each other, or rows that were written one after the
// other. A row that is replaced takes the time of its replacement.
enum class ClusterOrder : std::uint8_t { similarity = 0, time = 1 };

inline constexpr std::uint32_t kDimMax = 4096;
inline constexpr std::size_t kKeyBytesMax = 1024;
inline constexpr std::size_t kMetadataBytesMax = std::size_t{40} * 1024;
inline constexpr std::uint32_t kTopKMax = 10'000;
inline constexpr std::uint32_t kOutliersMax = 10'000;
inline constexpr std::uint32_t kOutlierNeighborsMax = 1'000;

// Position of one operation in the order of writes of an index. Total order: epoch, seq, op.
struct Lsn {
  std::uint64_t epoch = 0;  // one per take-over of the index by a writer process
  std::uint64_t seq = 0;    // log object within the epoch
  std::uint64_t op = 0;     // operation within the log object

  auto operator<=>(const Lsn&) const = default;
};
std::string to_string(const Lsn& lsn);  // "epoch.seq.op"

// One vector as a user gives it. Euclidean: any finite values. Cosine: not all zero.
struct VectorRecord {
  std::string key;            // 1 to kKeyBytesMax bytes of UTF-8, no NUL
  std::vector<float> vector;  // exactly `dim` finite values
  std::string metadata;       // a JSON object as text, or empty for none
};

struct IndexName {
  std::string bucket;  // 3-63 of [a-z0-9.-], first and last alphanumeric
  std::string index;   // the same rule

  std::string str() const { return bucket + "/" + index; }
};

struct IndexConfig {
  std::uint32_t dim = 0;  // 1 to kDimMax
  Metric metric = Metric::euclidean;
  // Bits of the code of a row for each dimension: 1, or 2 to 8 for an index that shall answer from
  // codes alone (QueryOptions::codes_only). Fractions are rounded to 64 bits a row. Below 64
  // dimensions there are no codes, and it is 1.
  double code_bits = 1;
  // By time, a filter on a field that grows with it leaves few clusters to look at, and the
  // clusters that follow those that a query read are brought into the cache. Queries without such a
  // filter visit more clusters than by similarity.
  ClusterOrder order = ClusterOrder::similarity;
};

// How sure an answer is. exact: every row that counts was looked at. bounded: the same answer,
// where centroids and radii prove that clusters that were left out hold no nearer row.
enum class Certainty : std::uint8_t { exact, bounded, approximate };

struct QueryOptions {
  std::uint32_t k = 10;  // 1 to kTopKMax
  // Share of the true k nearest to find on average; fitted per index when it is built.
  double recall = 0.95;
  // Visit exactly so many clusters instead; overrides `recall`.
  std::optional<std::uint32_t> nprobe = {};
  // Scan every row; distances accumulated in double, ties ordered by key. Overrides both.
  bool exact = false;
  // The answer of `exact`, without a look at clusters that cannot hold a nearer row: quick where
  // rows have few dimensions or lie far apart. Not with `nprobe`, `exact` or `codes_only`.
  bool bounded = false;
  // Distances as the codes of rows have them, no row is read but those that have no code. What is
  // found depends on IndexConfig::code_bits, which is above 1. Not with `exact`.
  bool codes_only = false;
  bool include_metadata = true;
  // Only rows whose metadata matches (docs/filters.md), as JSON; empty for all. Without `nprobe`,
  // clusters are visited until there are k such rows or no cluster is left.
  std::string filter = {};
};

struct Hit {
  std::string key;
  double distance = 0;
  std::string metadata;
};

// Sections of clusters that a query got from one layer of the cache, or from the store.
struct TierReads {
  std::string tier;  // "ram", "ram-compressed", "disk", "redis", "store"
  std::uint64_t reads = 0;
};

// What one answer cost. Times in microseconds, sizes in bytes.
struct Performance {
  double total_us = 0;
  double snapshot_us = 0;  // making sure that the view is current
  double rank_us = 0;      // ranking centroids
  double scan_us = 0;      // reading and scoring rows
  double finish_us = 0;    // exact order, keys, metadata
  std::uint64_t nprobe = 0;
  std::uint64_t rows_scanned = 0;    // by their codes or by themselves
  std::uint64_t rows_compared = 0;   // of these, those whose values were looked at
  std::uint64_t tail_rows = 0;       // rows not yet folded into clusters, always scanned
  std::uint64_t store_requests = 0;  // HEAD, log and repeated ones too
  std::uint64_t store_bytes = 0;
  std::vector<TierReads> tier_reads;  // from the dearest to the cheapest; empty with the next one
  // The same was asked before and nothing was written since: hits and certainty are those of then.
  bool from_answer_cache = false;
  Certainty certainty = Certainty::approximate;
};

struct QueryResult {
  std::vector<Hit> hits;  // nearest first, ties by key
  Performance performance;
};

// Reported by long work at most a few times a second. `total` is 0 while unknown.
struct Progress {
  std::string phase;  // "read", "train", "assign", "write", ...
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::string unit;  // "vectors", "clusters", ...
};
using ProgressSink = std::function<void(const Progress&)>;

}  // namespace varve
