// Removes objects that nothing can refer to any more.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/result.h"
#include "engine/core.h"

namespace varve::engine {

struct Collected {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
};

// Objects that a commit replaced at least `grace` ago; then, by listing, what crashed or aborted
// jobs, folded logs and lost commits left behind. Seals are never removed: each take-over leaves
// one log object for ever. Acts only on a HEAD that this call itself confirmed by compare-and-swap,
// never on a listing alone.
Result<Collected> collect(Core& core, std::chrono::milliseconds grace);

// The first half of `collect` only: no listing, so it is cheap enough to run after every fold.
Status collect_retired(Core& core, std::chrono::milliseconds grace);

// Takes a job that did not commit, as far as its process knows, off the list and removes its
// objects if it was still listed, which proves that it did not. What stays is found by the next
// `collect`.
void discard_job(Core& core, std::uint64_t job);

// Takes jobs off the list that ended without doing so themselves, whose process is gone for
// certain, or that are older than a day.
Status abort_abandoned_jobs(Core& core);
// Takes all off the list that do not run on `core`: whoever runs one fails, and loses nothing else.
Status abort_other_jobs(Core& core);

// Ends every epoch of a deleted index with a seal, so that no stalled writer is acknowledged.
// Damaged log objects are passed over: an index that cannot be read can still be dropped.
Status seal_all(const Env& env, const Names& names, const format::Uuid& index,
                const format::Head& head);
// Removes every object of a deleted index but HEAD and the seals.
Status remove_all_but_fences(const Env& env, const Names& names, const format::Uuid& index);

}  // namespace varve::engine
