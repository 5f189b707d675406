// `varve bench codec`: how small and how fast records of vectors are, and that they come back.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "varve/result.h"
#include "varve/types.h"

namespace varve::cli {

// Float32 vectors of one size, as bytes.
struct CodecSet {
  std::string name;
  std::size_t vector_bytes = 0;
  std::vector<std::byte> bytes;

  std::size_t count() const { return bytes.size() / vector_bytes; }
  base::ByteSpan vector(std::size_t i) const {
    return base::ByteSpan(bytes).subspan(i * vector_bytes, vector_bytes);
  }
};

// So many of each set: raw and stored together stay in the caches, as a cache that is hit would.
inline constexpr std::size_t kCodecVectors = 256;

// The first vectors of a file, whatever type they have in it, as float32. Errors as of
// open_vector_file; `invalid` also if it holds none.
Result<CodecSet> read_codec_set(const std::string& path);

// 1536 dimensions: normal, of unit norm; the same as bf16, f16 and bytes with a scale; one
// constant; a period of 16 values; random bits.
std::vector<CodecSet> synthetic_codec_sets();

struct CodecRow {
  std::string set, method;
  std::map<std::string, std::uint64_t> chosen;  // vectors by method of codec::to_string
  std::size_t vectors = 0, vector_bytes = 0, stored_bytes = 0;
  double encode_ns = 0;           // median of one, with the decoding that verifies it
  double p50_ns = 0, p99_ns = 0;  // of decoding one
  double peer_p50_ns = 0;         // of kCodecPeer on the same vectors

  double compression() const {
    return static_cast<double>(vectors * vector_bytes) / static_cast<double>(stored_bytes);
  }
};

inline constexpr const char* kCodecPeer = "zstd-3";

// Every method on the vectors of the set, on the calling thread. `internal`: a vector came back
// with other bits.
Result<std::vector<CodecRow>> measure_codec(const CodecSet& set);

struct PatternReport {
  std::uint64_t patterns = 0, blocks = 0, records = 0;
  std::map<std::string, std::uint64_t> by_method;  // records
};

// At least `count` random patterns of 32 bits in blocks of mixed sizes and shapes, each through
// every method that applies and through the one that encode() picks. `internal`: one came back with
// other bits.
Result<PatternReport> check_patterns(std::uint64_t count, std::uint64_t seed,
                                     const ProgressSink& progress);

}  // namespace varve::cli
