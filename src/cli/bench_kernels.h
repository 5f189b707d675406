// Distances from one vector to many, in the instruction set in use and in the scalar reference.
#pragma once

#include <string>
#include <vector>

namespace varve::cli {

struct KernelRow {
  std::string name;               // "euclidean u8 128": metric, type of the rows, dimension
  double p50_ns = 0, p99_ns = 0;  // of one call over kKernelVectors rows
  double vectors_per_second = 0;  // at p50
  double peer_p50_ns = 0;         // of the scalar reference
};

// The rows of one call: in the second-level cache with their distances.
inline constexpr std::size_t kKernelVectors = 512;

// Runs each case a few hundred times on the calling thread. REQUIRES: no other thread computes
// distances, since the instruction set is switched for the process and back.
std::vector<KernelRow> measure_kernels();

}  // namespace varve::cli
