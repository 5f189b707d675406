// Background jobs: registered in HEAD before their first object, committed by one compare-and-swap
// that requires them to be still listed. So garbage is known without any clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/env.h"
#include "engine/head_io.h"
#include "engine/names.h"
#include "format/head.h"
#include "format/manifest.h"

namespace varve::engine {

bool is_listed(const format::Head& head, std::uint64_t job);

// The import that is listed in `head`, or nullopt.
std::optional<format::Job> listed_import(const format::Head& head);

// The names on a list of what is to be removed. A list that is gone or damaged names nothing: what
// it named is in use by nobody, and the sweep of compact finds it.
Result<std::vector<std::string>> read_retired(const Env& env, const format::Uuid& index,
                                              const std::string& list_name);

// What every part of a job needs to name its objects.
struct JobContext {
  const Env& env;
  const Names& names;
  const format::Uuid& index;
  std::uint64_t id = 0;
};

// Lists a new job in HEAD and returns it. `conflict`: `epoch` is not the current one any more
// (0: any will do), or an import is listed and this is another one, which would have to fold
// deletes that the first one must not miss, or compacts, which would take the clusters away to
// which the import has assigned its rows. `overloaded`: kJobsMax are listed.
Result<format::Job> register_job(const Env& env, const Names& names, const format::Uuid& index,
                                 format::JobKind kind, std::uint64_t epoch);

// Takes the job off the list: it can never commit after that. True: it was listed, so it certainly
// did not commit and its objects are garbage. False: it committed or was aborted before.
Result<bool> abort_job(const Env& env, const Names& names, const format::Uuid& index,
                       std::uint64_t id);

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
  // The fold pointer moves. While an import is listed only its own job may do that, up to the
  // position that it reserved: the key map keeps no trace of a folded delete, so an import could
  // not know that one of its rows was deleted meanwhile (tests/model, fault EARLY_MARKER).
  bool folds = false;
  std::uint64_t for_import = 0;  // the import job that a fold serves; 0: none
};

// `conflict`: the job was aborted, the epoch or the manifest changed, an import forbids it: nothing
// was committed and never will be. `unavailable`, `cancelled`: not known; keep every object.
Result<StoredHead> commit_job(const JobContext& job, const JobCommit& commit);

}  // namespace varve::engine
