// Borrowing entries without writing to them: each thread says in a few words of its own which
// entries its handles need (hazard pointers, Michael, IEEE TPDS 2004).
//
// A reader writes its word and then looks whether the entry is live; who takes an entry out marks
// it as not live and then looks at all words. One of the two sees the other if each has a full
// fence in between. Hits are many and removals few, so the fence of the reader is left to the
// remover, which makes the kernel run one on every core (membarrier); where that is not to be had,
// both pay.
#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "cache/thread_record.h"
#include "varve/cache/handle.h"

namespace varve::cache {

namespace hazard {

// Whether removers pay for readers.
extern const bool kIsAsymmetric;

// Says that a handle needs `entry`, before anything of it is looked at.
inline void announce(std::atomic<Pinned*>& word, Pinned* entry) {
#ifdef __SANITIZE_THREAD__
  word.exchange(entry, std::memory_order_seq_cst);
#else
  if (kIsAsymmetric) [[likely]] {
    word.store(entry, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return;
  }
  word.exchange(entry, std::memory_order_seq_cst);
#endif
}

// Every entry that some handle needs, of those that were not live any more when this was called;
// sorted by address. nullopt: the kernel did not say; everything may be needed.
std::optional<std::vector<const Pinned*>> announced();

}  // namespace hazard
}  // namespace varve::cache
