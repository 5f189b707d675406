#include "cache/memory/hazard.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace varve::cache::hazard {
namespace {

long membarrier(int command) { return ::syscall(SYS_membarrier, command, 0U, 0); }

bool register_process() { return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0; }

// False: readers left the fence to this thread and the kernel refused it.
bool fence_on_every_core() {
  if (kIsAsymmetric) return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
  // The words are written by exchange, which is a fence of its own.
  static std::atomic<int> order{0};
  order.fetch_add(1, std::memory_order_seq_cst);
  return true;
}

}  // namespace

const bool kIsAsymmetric = register_process();

std::optional<std::vector<const Pinned*>> announced() {
  if (!fence_on_every_core()) return std::nullopt;
  std::vector<const Pinned*> found;
  for (const ThreadRecord* each = first_thread_record(); each != nullptr; each = each->next) {
    for (const auto& word : each->words) {
      const Pinned* entry = word.load(std::memory_order_seq_cst);
      if (entry != nullptr) found.push_back(entry);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace varve::cache::hazard
