// `varve bench cache`: how fast hits are in each tier, and what the small configuration holds.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/bench_codec.h"
#include "varve/result.h"
#include "varve/types.h"

namespace varve::cli {

// The size of the vectors that the figures are promised for.
inline constexpr std::size_t kCacheDim = 1536;
inline constexpr std::size_t kCacheVectorBytes = kCacheDim * sizeof(float);

struct CacheRow {
  std::string name;
  double p50_ns = 0, p99_ns = 0;  // of one operation, over batches; 0: the row is no time
  std::string peer;               // empty: there is none
  double peer_p50_ns = 0;
  std::string about;  // what was measured, where the name does not say it
  // More figures, by name.
  std::vector<std::pair<std::string, double>> more;

  double ratio() const { return p50_ns > 0 && !peer.empty() ? peer_p50_ns / p50_ns : 0; }
};

struct CacheBench {
  CodecSet vectors;     // of kCacheDim, what is measured as l2_real
  std::string folder;   // for files, emptied before and after
  std::string program;  // this one, to start processes whose memory is measured
  ProgressSink progress;
};

// The first vectors of a file; or of a file in a folder, or in the set below it that the figures
// are promised for. Nothing given: made ones, of unit norm. `invalid`: another dimension.
Result<CodecSet> cache_vectors(const std::string& path);

// Names of the cases in their order: l1_1k, l1_100k, l2_real, ...
std::vector<std::string> cache_cases();
// Runs the cases of these names, all if none is given. `invalid`: no case has the name.
Result<std::vector<CacheRow>> measure_cache(const CacheBench& bench,
                                            const std::vector<std::string>& names);

// What a process that was started to be measured does: "bare", "open", "hundred", "full" or "tier".
// Prints {"rss_bytes":...,"anonymous_bytes":...} and more.
Result<int> measured_process(const std::string& what, const std::string& folder);

}  // namespace varve::cli
