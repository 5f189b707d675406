#include "engine/collect.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "engine/put_once.h"
#include "format/blobs.h"
#include "format/envelope.h"

namespace varve::engine {
namespace {

constexpr std::uint32_t kListPage = 1000;
constexpr std::int64_t kAbandonedMs = 24LL * 3600 * 1000;

using KeySet = std::unordered_set<std::string>;

Result<std::vector<store::ListPage::Entry>> list_all(const Env& env, const std::string& prefix) {
  std::vector<store::ListPage::Entry> entries;
  std::string after;
  while (true) {
    VARVE_TRY(auto page, env.store->list(prefix, after, kListPage, env.deadline()));
    entries.insert(entries.end(), page.entries.begin(), page.entries.end());
    if (!page.more || page.entries.empty()) return entries;
    after = page.entries.back().key;
  }
}

Status remove(const Core& core, const std::vector<store::ListPage::Entry>& victims,
              Collected& collected) {
  std::vector<std::string> keys;
  keys.reserve(victims.size());
  for (const auto& victim : victims) keys.push_back(victim.key);
  if (keys.empty()) return {};
  VARVE_CHECK(core.env.store->remove(keys, core.env.deadline()));
  collected.objects += victims.size();
  for (const auto& victim : victims) collected.bytes += victim.size;
  return {};
}

// Everything that `head` and what it names refer to.
Result<KeySet> referenced(const Core& core, const format::Head& head) {
  KeySet names{head.manifest_name};
  VARVE_TRY(const auto object, core.env.store->get(head.manifest_name, core.env.deadline()));
  if (!object) {
    return fail(ErrorKind::corrupt, fmt::format("object '{}' not found", head.manifest_name));
  }
  VARVE_TRY(const auto manifest,
            format::decode_manifest(object->bytes, core.index, head.manifest_name));
  for (const auto& group : manifest.groups) names.insert(group.blob.name);
  for (const auto& segment : manifest.key_map) names.insert(segment.name);
  if (manifest.centroids) names.insert(manifest.centroids->name);
  if (manifest.stale) names.insert(manifest.stale->name);
  if (manifest.directions) names.insert(manifest.directions->name);
  for (const auto& retired : head.retired) {
    names.insert(retired.list_name);
    VARVE_TRY(const auto list, read_retired(core.env, core.index, retired.list_name));
    names.insert(list.begin(), list.end());
  }
  return names;
}

// A seal fences a writer that may wake up after any time: it stays.
Result<bool> is_seal(const Env& env, const format::Uuid& index, const std::string& key) {
  VARVE_TRY(const auto object, env.store->get(key, env.deadline()));
  if (!object) return false;
  const auto envelope = format::decode_envelope(object->bytes, index, key);
  // What cannot be read is kept for fsck to report.
  return !envelope || envelope->identity.kind == format::Kind::seal;
}

// `head` was confirmed by our own compare-and-swap: no commit that is based on an older one can
// succeed any more, so what an unlisted job or an older manifest wrote is garbage for certain.
Status sweep(Core& core, const format::Head& head, Collected& collected) {
  VARVE_TRY(const KeySet live, referenced(core, head));
  std::vector<store::ListPage::Entry> victims;
  VARVE_TRY(const auto blobs, list_all(core.env, core.names.blob_prefix()));
  for (const auto& entry : blobs) {
    const auto job = core.names.job_of_blob(entry.key);
    if (!job || *job >= head.next_job || is_listed(head, *job)) continue;
    if (!live.contains(entry.key)) victims.push_back(entry);
  }
  VARVE_TRY(const auto manifests, list_all(core.env, core.names.manifest_prefix()));
  for (const auto& entry : manifests) {
    const auto version = core.names.version_of_manifest(entry.key);
    if (version && *version <= head.version && !live.contains(entry.key)) victims.push_back(entry);
  }
  VARVE_TRY(const auto slots, list_all(core.env, core.names.log_prefix()));
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto& entry = slots[i];
    const auto position = core.names.position_of_log(entry.key);
    if (!position || *position >= head.fold) continue;
    // The last slot of an epoch that is over is its seal, and there is one for each take-over ever:
    // it stays without being read.
    const auto next =
        i + 1 < slots.size() ? core.names.position_of_log(slots[i + 1].key) : std::nullopt;
    const bool is_last = !next || next->epoch != position->epoch;
    if (is_last && position->epoch < head.fold.epoch) continue;
    VARVE_TRY(const bool seal, is_seal(core.env, core.index, entry.key));
    if (!seal) victims.push_back(entry);
  }
  return remove(core, victims, collected);
}

// HEAD as our own compare-and-swap left it, without a change.
Result<StoredHead> confirm_head(const Core& core) {
  return update_head(core.env, core.names, core.index, [](format::Head&) -> Status { return {}; });
}

}  // namespace

// Lists whose grace is over: their objects go first, then HEAD forgets the lists, then they go too.
// A crash in between repeats harmlessly.
Status collect_retired(Core& core, std::chrono::milliseconds grace) {
  const std::int64_t now_ms = core.env.clock->wall_ms();
  const auto is_due = [&](const format::RetiredRef& retired) {
    return now_ms - retired.at_ms >= grace.count();
  };
  VARVE_TRY(const StoredHead seen, read_head(core.env, core.names, core.index));
  if (std::none_of(seen.head.retired.begin(), seen.head.retired.end(), is_due)) return {};
  // What was read may be a commit of another process that is not safe on its medium yet: a power
  // cut could bring the version before it back, which needs what is removed here.
  VARVE_TRY(const StoredHead confirmed, confirm_head(core));
  std::vector<std::string> lists, victims;
  for (const auto& retired : confirmed.head.retired) {
    if (!is_due(retired)) continue;
    VARVE_TRY(const auto names, read_retired(core.env, core.index, retired.list_name));
    victims.insert(victims.end(), names.begin(), names.end());
    lists.push_back(retired.list_name);
  }
  VARVE_CHECK(core.env.store->remove(victims, core.env.deadline()));
  VARVE_CHECK(update_head(core.env, core.names, core.index, [&](format::Head& head) -> Status {
    std::erase_if(head.retired, [&](const format::RetiredRef& ref) {
      return std::find(lists.begin(), lists.end(), ref.list_name) != lists.end();
    });
    return {};
  }));
  return core.env.store->remove(lists, core.env.deadline());
}

Result<Collected> collect(Core& core, std::chrono::milliseconds grace) {
  Collected collected;
  VARVE_TRY(const auto before, list_all(core.env, core.names.root()));
  VARVE_CHECK(collect_retired(core, grace));
  VARVE_TRY(const StoredHead confirmed, confirm_head(core));
  Collected swept;
  VARVE_CHECK(sweep(core, confirmed.head, swept));
  VARVE_TRY(const auto after, list_all(core.env, core.names.root()));
  std::unordered_set<std::string_view> left;
  for (const auto& entry : after) left.insert(entry.key);
  for (const auto& entry : before) {
    if (left.contains(entry.key)) continue;
    ++collected.objects;
    collected.bytes += entry.size;
  }
  return collected;
}

void discard_job(Core& core, std::uint64_t job) {
  const auto listed = abort_job(core.env, core.names, core.index, job);
  // A job that was not listed any more may have committed: what it wrote may be in use.
  if (!listed || !*listed) return;
  const auto entries = list_all(core.env, core.names.blob_prefix());
  if (!entries) return;
  std::vector<std::string> keys;
  for (const auto& entry : *entries) {
    if (core.names.job_of_blob(entry.key) == job) keys.push_back(entry.key);
  }
  static_cast<void>(core.env.store->remove(keys, core.env.deadline()));
}

namespace {

bool is_abandoned(const Core& core, const format::Job& job) {
  if (core.env.clock->wall_ms() - job.started_ms > kAbandonedMs) return true;
  if (job.owner == core.env.owner) return !core.own_jobs.may_run(job.id);
  return core.env.owner_is_gone != nullptr && core.env.owner_is_gone(job.owner);
}

}  // namespace

Status abort_abandoned_jobs(Core& core) {
  VARVE_TRY(const StoredHead stored, read_head(core.env, core.names, core.index));
  for (const auto& job : stored.head.jobs) {
    if (!is_abandoned(core, job)) continue;
    VARVE_CHECK(abort_job(core.env, core.names, core.index, job.id));
  }
  return {};
}

Status abort_other_jobs(Core& core) {
  VARVE_TRY(const StoredHead stored, read_head(core.env, core.names, core.index));
  for (const auto& job : stored.head.jobs) {
    const bool runs_here = job.owner == core.env.owner && core.own_jobs.may_run(job.id);
    if (runs_here) continue;
    VARVE_CHECK(abort_job(core.env, core.names, core.index, job.id));
  }
  return {};
}

Status seal_all(const Env& env, const Names& names, const format::Uuid& index,
                const format::Head& head) {
  format::LogPosition position = head.fold;
  // Ends: each turn passes a slot that is filled, or fills it.
  while (position.epoch < head.epoch) {
    const std::string key = names.log(position);
    VARVE_TRY(const auto object, env.store->get(key, env.deadline()));
    if (object) {
      // What cannot be read fills its slot too, so nobody can write there. If it is the seal of the
      // epoch, another one comes behind it.
      const auto envelope = format::decode_envelope(object->bytes, index, key);
      const bool seal = envelope && envelope->identity.kind == format::Kind::seal;
      position = seal ? format::LogPosition{position.epoch + 1, 0}
                      : format::LogPosition{position.epoch, position.seq + 1};
      continue;
    }
    const format::Seal seal{position, base::make_nonce(*env.random), head.epoch};
    VARVE_CHECK(put_once(env, key, format::encode_seal(seal, index, key), index, seal.nonce));
  }
  return {};
}

Status remove_all_but_fences(const Env& env, const Names& names, const format::Uuid& index) {
  VARVE_TRY(const auto entries, list_all(env, names.root()));
  std::vector<std::string> keys;
  for (const auto& entry : entries) {
    if (entry.key == names.head()) continue;
    if (names.position_of_log(entry.key)) {
      VARVE_TRY(const bool seal, is_seal(env, index, entry.key));
      if (seal) continue;
    }
    keys.push_back(entry.key);
  }
  return env.store->remove(keys, env.deadline());
}

}  // namespace varve::engine
