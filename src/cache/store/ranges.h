// Reads of neighbours as one request.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace varve::cache::packs {

// Bytes of one pack that somebody wants.
struct Wanted {
  std::uint32_t pack = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::size_t who = 0;
};

// One request, which serves wanted[first] to wanted[first + count - 1].
struct Range {
  std::uint32_t pack = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::size_t first = 0;
  std::size_t count = 0;
};

// Sorts `wanted` by place and joins what lies at most `gap_max` apart, up to `bytes_max` a range;
// one that wants more alone gets it.
std::vector<Range> join_ranges(std::vector<Wanted>& wanted, std::uint64_t gap_max,
                               std::uint64_t bytes_max);

}  // namespace varve::cache::packs
