#include "cache/store/ranges.h"

#include <algorithm>
#include <tuple>

namespace varve::cache::packs {

std::vector<Range> join_ranges(std::vector<Wanted>& wanted, std::uint64_t gap_max,
                               std::uint64_t bytes_max) {
  std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
    return std::tie(a.pack, a.offset) < std::tie(b.pack, b.offset);
  });
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Wanted& one = wanted[i];
    if (!ranges.empty()) {
      Range& last = ranges.back();
      const std::uint64_t end = last.offset + last.bytes;
      const std::uint64_t new_end = std::max(end, one.offset + one.bytes);
      if (one.pack == last.pack && one.offset <= end + gap_max &&
          (new_end - last.offset <= bytes_max || new_end == end)) {
        last.bytes = new_end - last.offset;
        ++last.count;
        continue;
      }
    }
    ranges.push_back({one.pack, one.offset, one.bytes, i, 1});
  }
  return ranges;
}

}  // namespace varve::cache::packs
