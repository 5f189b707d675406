#include "cache/memory/page_runs.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "base/sync.h"

namespace varve::cache {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kRegionBytes = std::size_t{256} << 20;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsWatched = true;
#else
constexpr bool kIsWatched = false;
#endif

// Free runs of pages that nothing backs, but for locked ones, joined with their neighbours.
class FreeRuns {
 public:
  using Run = std::pair<std::uintptr_t, std::size_t>;  // begin, bytes

  // The smallest that is large enough; begin 0: there is none.
  Run take(std::size_t bytes) {
    const auto found = by_size_.lower_bound({bytes, 0});
    if (found == by_size_.end()) return {};
    const Run run{found->second, found->first};
    drop(run);
    if (run.second > bytes) keep({run.first + bytes, run.second - bytes});
    return {run.first, bytes};
  }
  void give(Run run) {
    const auto behind = by_begin_.lower_bound(run.first);
    if (behind != by_begin_.end() && behind->first == run.first + run.second) {
      const Run next = *behind;
      drop(next);
      run.second += next.second;
    }
    const auto after = by_begin_.lower_bound(run.first);
    if (after != by_begin_.begin()) {
      const Run before = *std::prev(after);
      if (before.first + before.second == run.first) {
        drop(before);
        run = {before.first, before.second + run.second};
      }
    }
    keep(run);
  }

 private:
  void keep(Run run) {
    by_begin_.insert(run);
    by_size_.insert({run.second, run.first});
  }
  void drop(Run run) {
    by_begin_.erase(run.first);
    by_size_.erase({run.second, run.first});
  }

  std::map<std::uintptr_t, std::size_t> by_begin_;
  std::set<std::pair<std::size_t, std::uintptr_t>> by_size_;
};

struct Pages {
  std::mutex mutex;
  FreeRuns free VARVE_GUARDED_BY(mutex);
};
// Never destroyed: handles may outlive everything.
Pages& pages() {
  static auto* const all = new Pages;
  return *all;
}

// Address space. Small pages: a huge one would back neighbours that nobody asked for.
FreeRuns::Run map_region(std::size_t bytes) {
  void* begin = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begin == MAP_FAILED) return {};
  ::madvise(begin, bytes, MADV_NOHUGEPAGE);
  return {reinterpret_cast<std::uintptr_t>(begin), bytes};
}

}  // namespace

void* take_pages(std::size_t bytes, std::size_t& taken) {
  if (kIsWatched) return nullptr;
  taken = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  Pages& all = pages();
  std::lock_guard lock(all.mutex);
  FreeRuns::Run run = all.free.take(taken);
  if (run.first == 0) {
    const FreeRuns::Run region = map_region(std::max(kRegionBytes, taken));
    if (region.first == 0) return nullptr;
    all.free.give(region);
    run = all.free.take(taken);
  }
  return reinterpret_cast<void*>(run.first);  // NOLINT(performance-no-int-to-ptr): runs are numbers
}

void give_pages(void* begin, std::size_t taken) {
  // The kernel keeps pages that the process locked into memory; they serve the next value so.
  static_cast<void>(::madvise(begin, taken, MADV_DONTNEED));
  Pages& all = pages();
  std::lock_guard lock(all.mutex);
  all.free.give({reinterpret_cast<std::uintptr_t>(begin), taken});
}

}  // namespace varve::cache
