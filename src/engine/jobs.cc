#include "engine/jobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/sha256.h"
#include "engine/put_once.h"
#include "format/blobs.h"

namespace varve::engine {
namespace {

// REQUIRES: listed.
format::JobKind kind_of(const format::Head& head, std::uint64_t id) {
  return std::find_if(head.jobs.begin(), head.jobs.end(),
                      [id](const format::Job& job) { return job.id == id; })
      ->kind;
}

Status check_base(const format::Head& head, const JobContext& job, const JobCommit& commit) {
  if (!is_listed(head, job.id)) {
    return fail(ErrorKind::conflict, fmt::format("job {} was aborted", job.id));
  }
  if (head.epoch != commit.epoch || head.state != format::IndexState::open) {
    return fail(ErrorKind::conflict, "another writer took the index over");
  }
  if (head.manifest_name != commit.base_manifest) {
    return fail(ErrorKind::conflict, "another job committed first");
  }
  const auto import = listed_import(head);
  if (import && kind_of(head, job.id) == format::JobKind::compact) {
    return fail(ErrorKind::conflict, "an import is running");
  }
  if (commit.folds && import && import->id != commit.for_import) {
    return fail(ErrorKind::conflict, "an import is running");
  }
  return {};
}

// HEAD holds few lists: when it is full the newest one is carried over into the new list, so that
// the others grow old and go however often there are commits.
Result<std::vector<std::string>> names_to_retire(const JobContext& job, const format::Head& base,
                                                 const JobCommit& commit, format::Head& next) {
  std::vector<std::string> names = commit.replaced;
  names.push_back(base.manifest_name);
  while (next.retired.size() >= format::kRetiredMax) {
    const std::string newest = next.retired.back().list_name;
    VARVE_TRY(const auto carried, read_retired(job.env, job.index, newest));
    names.insert(names.end(), carried.begin(), carried.end());
    names.push_back(newest);
    next.retired.pop_back();
  }
  return names;
}

Result<format::Head> prepare(const JobContext& job, const JobCommit& commit,
                             const format::Head& base) {
  format::Head next = base;
  std::erase_if(next.jobs, [&](const format::Job& listed) { return listed.id == job.id; });
  VARVE_TRY(const auto names, names_to_retire(job, base, commit, next));
  const base::Nonce list_nonce = base::make_nonce(*job.env.random);
  const std::string list_name = job.names.blob(job.id, list_nonce);
  VARVE_CHECK(write_blob(job, format::encode_retired(names, job.index, list_name, list_nonce),
                         list_name, list_nonce));
  const base::Nonce nonce = base::make_nonce(*job.env.random);
  next.manifest_name = job.names.manifest(base.version + 1, nonce);
  const base::Bytes manifest =
      format::encode_manifest(commit.manifest, job.index, next.manifest_name, nonce);
  // A manifest that cannot be read back must never become current.
  auto readable = format::decode_manifest(manifest, job.index, next.manifest_name);
  if (!readable) return fail(ErrorKind::internal, readable.error().message);
  VARVE_CHECK(write_blob(job, manifest, next.manifest_name, nonce));
  next.manifest_bytes = manifest.size();
  next.manifest_sha256 = base::sha256(manifest);
  next.fold = commit.fold;
  next.retired.push_back({list_name, base.version + 1, job.env.clock->wall_ms()});
  return next;
}

}  // namespace

Result<std::vector<std::string>> read_retired(const Env& env, const format::Uuid& index,
                                              const std::string& list_name) {
  VARVE_TRY(const auto object, env.store->get(list_name, env.deadline()));
  if (!object) return std::vector<std::string>{};
  auto names = format::decode_retired(object->bytes, index, list_name);
  // Damaged garbage must not stop commits.
  if (!names && names.error().kind == ErrorKind::corrupt) return std::vector<std::string>{};
  return names;
}

bool is_listed(const format::Head& head, std::uint64_t id) {
  return std::any_of(head.jobs.begin(), head.jobs.end(),
                     [id](const format::Job& job) { return job.id == id; });
}

std::optional<format::Job> listed_import(const format::Head& head) {
  for (const format::Job& job : head.jobs) {
    if (job.kind == format::JobKind::import) return job;
  }
  return std::nullopt;
}

Result<format::Job> register_job(const Env& env, const Names& names, const format::Uuid& index,
                                 format::JobKind kind, std::uint64_t epoch) {
  format::Job job;
  VARVE_CHECK(update_head(env, names, index, [&](format::Head& head) -> Status {
    if (head.state == format::IndexState::deleted) {
      return fail(ErrorKind::not_found, "the index was dropped");
    }
    if (epoch != 0 && head.epoch != epoch) {
      return fail(ErrorKind::conflict, "another writer took the index over");
    }
    if (head.jobs.size() >= format::kJobsMax) {
      return fail(ErrorKind::overloaded, "too many jobs are listed for this index",
                  "wait for running imports, or remove abandoned ones: varve index compact");
    }
    if (kind == format::JobKind::import && listed_import(head)) {
      return fail(ErrorKind::conflict, "another import into this index is running",
                  "wait for it to end; if its process is gone: varve index compact --abort-jobs");
    }
    if (kind == format::JobKind::compact && listed_import(head)) {
      return fail(ErrorKind::conflict, "an import is running");
    }
    job = {head.next_job++, kind, head.epoch, head.version, env.clock->wall_ms(), env.owner};
    head.jobs.push_back(job);
    return {};
  }));
  return job;
}

Result<bool> abort_job(const Env& env, const Names& names, const format::Uuid& index,
                       std::uint64_t id) {
  bool listed = false;
  VARVE_CHECK(update_head(env, names, index, [&](format::Head& head) -> Status {
    listed = std::erase_if(head.jobs, [&](const format::Job& job) { return job.id == id; }) > 0;
    return {};
  }));
  return listed;
}

Result<std::string> write_blob(const JobContext& job, const base::Bytes& object,
                               const std::string& name, base::Nonce nonce) {
  VARVE_TRY(const PutOutcome outcome, put_once(job.env, name, object, job.index, nonce));
  if (outcome.verdict == PutOutcome::Verdict::lost) {
    return fail(ErrorKind::internal, fmt::format("object '{}' exists already", name));
  }
  return name;
}

Result<StoredHead> commit_job(const JobContext& job, const JobCommit& commit) {
  for (unsigned attempt = 0;; ++attempt) {
    VARVE_TRY(const StoredHead base, read_head(job.env, job.names, job.index));
    VARVE_CHECK(check_base(base.head, job, commit));
    VARVE_TRY(auto next, prepare(job, commit, base.head));
    VARVE_TRY(CasOutcome outcome, swap_head(job.env, job.names, job.index, base, std::move(next)));
    if (outcome.verdict == CasOutcome::Verdict::committed) return outcome.now;
    back_off(job.env, attempt);
  }
}

}  // namespace varve::engine
