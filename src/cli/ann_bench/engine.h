// What takes part in the bench: Varve itself, and each peer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/ann_bench/ann_set.h"
#include "cli/output.h"

namespace varve::cli::ann_bench {

// The queries that an engine answers before the clock starts in each pass: another engine had the
// processor's caches.
inline constexpr std::size_t kWarmUpQueries = 100;

struct Built {
  double seconds = 0;
  std::uint32_t threads = 0;
  double bytes_per_vector = 0;  // in memory
  Json parameters;              // of the build
  std::string about;            // versions, instruction sets
  // Settings of a search by growing effort; one list for each setting that is not the main one.
  std::vector<std::vector<Json>> sweep;
};

struct Pass {
  std::vector<std::int64_t> ids;  // k for each query, -1 where there is none
  std::vector<double> us;         // of each query
};

// One thread at a time.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const std::string& name() const = 0;
  // Once, before any pass. With all threads that it was given.
  virtual Result<Built> build() = 0;
  // All queries, one at a time, on one thread on `core`.
  virtual Result<Pass> run(const Json& parameters, int core) = 0;
};

// Varve as its users have it: rows imported into a store in `folder`, the database opened again,
// the index pinned in memory, one snapshot asked. `set` must outlive it.
std::unique_ptr<Engine> make_varve(const AnnSet& set, std::uint32_t k, std::uint32_t build_threads,
                                   std::string folder);

// What a program that runs a peer is told, by a file. Rows and queries lie in files of float32.
struct PeerJob {
  std::vector<std::string> command;  // the program and its arguments, before the name of the job
  std::string folder;                // its own, for the job, its log and its answers
  std::string rows_file, queries_file;
  std::uint32_t k = 0, build_threads = 0;
};
// In a process of its own (ann_bench/peer.cc has the protocol).
std::unique_ptr<Engine> make_peer(std::string name, const AnnSet& set, PeerJob job);

}  // namespace varve::cli::ann_bench
