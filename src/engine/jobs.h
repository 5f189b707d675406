// Background jobs: registered in HEAD before their first object, committed by one compare-and-swap
// that requires them to be still listed. So garbage is known without any clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/env.h"
#include "engine/head_io.h"
#include "engine/names.h"
#include "format/head.h"
#include "format/manifest.h"

namespace varve::engine {

// What every part of a job needs to name its objects.
struct JobContext {
  const Env& env;
  const Names& names;
  const format::Uuid& index;
  std::uint64_t id = 0;
};

// Lists a new job in HEAD and returns it. `conflict`: `epoch` is not the current one any more
// (0: any will do). `overloaded`: kJobsMax are listed.
Result<format::Job> register_job(const Env& env, const Names& names, const format::Uuid& index,
                                 format::JobKind kind, std::uint64_t epoch);

// Takes the job off the list: it can never commit after that, so its objects are garbage.
Status abort_job(const Env& env, const Names& names, const format::Uuid& index, std::uint64_t id);

// One immutable object under d/<job>/, written whatever the store answers.
// Returns how to refer to it.
Result<std::string> write_blob(const JobContext& job, const base::Bytes& object,
                               const std::string& name, base::Nonce nonce);

struct JobCommit {
  format::Manifest manifest;
  format::LogPosition fold;           // new fold pointer
  std::string base_manifest;          // the manifest that the job started from
  std::uint64_t epoch = 0;            // must still be current
  std::vector<std::string> replaced;  // objects that nothing refers to after the commit
};

// `conflict`: the job was aborted, the epoch or the manifest changed: nothing was committed and
// never will be. `unavailable`, `cancelled`: not known; keep every object.
Result<StoredHead> commit_job(const JobContext& job, const JobCommit& commit);

}  // namespace varve::engine
