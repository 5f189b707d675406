#include "sim/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace varve::sim {
namespace {

std::vector<std::string> names_in(const format::Manifest& manifest) {
  std::vector<std::string> names;
  for (const auto& group : manifest.groups) names.push_back(group.blob.name);
  for (const auto& segment : manifest.key_map) names.push_back(segment.name);
  if (manifest.centroids) names.push_back(manifest.centroids->name);
  if (manifest.stale) names.push_back(manifest.stale->name);
  return names;
}

}  // namespace

void WatchStore::watch(const format::Uuid& index) {
  index_ = index;
  names_.emplace(index);
}

std::optional<base::Bytes> WatchStore::object(std::string_view key) {
  auto found = inner_->get(key, base::Deadline::never());
  if (!found || !*found) return std::nullopt;
  return (*found)->bytes;
}

std::optional<format::Head> WatchStore::head() {
  const auto bytes = object(names_->head());
  if (!bytes) return std::nullopt;
  auto head = format::decode_head(*bytes, *index_, names_->head());
  if (!head) return std::nullopt;
  return std::move(*head);
}

std::optional<format::Kind> WatchStore::kind_of(std::string_view key) {
  const auto bytes = object(key);
  if (!bytes) return std::nullopt;
  const auto envelope = format::decode_envelope(*bytes, *index_, key);
  if (!envelope) return std::nullopt;
  return envelope->identity.kind;
}

void WatchStore::check_acked(const Lsn& lsn) {
  const format::LogPosition position{lsn.epoch, lsn.seq};
  const auto now = head();
  if (!now || position < now->fold) return;
  const auto kind = kind_of(names_->log(position));
  if (kind && *kind != format::Kind::seal) return;
  report_(fmt::format("I1: {} was acknowledged and is not in the log", to_string(lsn)));
}

void WatchStore::check_created(std::string_view key) {
  const auto position = names_->position_of_log(key);
  const auto now = head();
  if (!position || !now || *position < now->fold) return;
  if (kind_of(key) == format::Kind::seal) seals_.emplace(key);
  if (position->seq == 0) return;
  const format::LogPosition before{position->epoch, position->seq - 1};
  const auto kind = kind_of(names_->log(before));
  if (!kind && before >= now->fold) {
    report_(fmt::format("I2: object '{}' was written behind a hole", key));
  }
  if (kind && *kind == format::Kind::seal && kind_of(key) != format::Kind::seal) {
    report_(fmt::format("I19: object '{}' was written behind a seal", key));
  }
}

void WatchStore::check_head(const format::Head& before, const format::Head& after) {
  const auto broken = [&](const char* what) {
    report_(fmt::format("I4: HEAD version {} to {}: {}", before.version, after.version, what));
  };
  if (after.version != before.version + 1) broken("not the next version");
  if (after.epoch < before.epoch) broken("the epoch fell");
  if (after.fold < before.fold) broken("the fold pointer fell");
  if (after.next_job < before.next_job) broken("job ids are given out again");
  if (after.parents.empty() || after.parents.back() != before.nonce) broken("not a child");
  if (after.manifest_name == before.manifest_name) return;
  const auto bytes = object(after.manifest_name);
  const auto manifest =
      bytes ? format::decode_manifest(*bytes, *index_, after.manifest_name)
            : Result<format::Manifest>(fail(ErrorKind::not_found, "there is no such object"));
  if (!manifest) {
    report_(fmt::format("I5: manifest '{}': {}", after.manifest_name, manifest.error().message));
    return;
  }
  for (const auto& name : names_in(*manifest)) {
    if (!object(name))
      report_(fmt::format("I5: the new manifest names '{}', which is not there", name));
  }
}

void WatchStore::check_removal(const std::string& key, const format::Head& now,
                               const format::Manifest& manifest) {
  const auto used = names_in(manifest);
  const auto job = names_->job_of_blob(key);
  const auto position = names_->position_of_log(key);
  const bool listed = job && std::any_of(now.jobs.begin(), now.jobs.end(),
                                         [&](const auto& entry) { return entry.id == *job; });
  if (listed) report_(fmt::format("I12: '{}' was removed, its job is listed", key));
  if (key == names_->head() || key == now.manifest_name ||
      std::find(used.begin(), used.end(), key) != used.end()) {
    report_(fmt::format("I12: '{}' was removed while HEAD reaches it", key));
  }
  if (!position) return;
  if (*position >= now.fold) report_(fmt::format("I12: '{}' was removed before its fold", key));
  if (seals_.contains(key)) report_(fmt::format("I19: seal '{}' was removed", key));
}

Result<std::optional<store::Object>> WatchStore::get(std::string_view key,
                                                     base::Deadline deadline) {
  return inner_->get(key, deadline);
}

std::unique_ptr<store::ReadBatch> WatchStore::read(std::span<const store::ReadRequest> requests,
                                                   base::Deadline deadline) {
  return inner_->read(requests, deadline);
}

Result<store::Etag> WatchStore::create(std::string_view key, base::ByteSpan bytes,
                                       base::Deadline deadline) {
  auto created = inner_->create(key, bytes, deadline);
  if (created && index_) check_created(key);
  return created;
}

Result<store::Etag> WatchStore::replace(std::string_view key, base::ByteSpan bytes,
                                        const store::Etag& expected, base::Deadline deadline) {
  const bool is_head = index_ && key == names_->head();
  const auto before = is_head ? head() : std::nullopt;
  auto replaced = inner_->replace(key, bytes, expected, deadline);
  if (!replaced || !before) return replaced;
  const auto after = head();
  if (after) check_head(*before, *after);
  return replaced;
}

Result<store::ListPage> WatchStore::list(std::string_view prefix, std::string_view start_after,
                                         std::uint32_t limit, base::Deadline deadline) {
  return inner_->list(prefix, start_after, limit, deadline);
}

Status WatchStore::remove(std::span<const std::string> keys, base::Deadline deadline) {
  const auto now = index_ ? head() : std::nullopt;
  const auto bytes = now ? object(now->manifest_name) : std::nullopt;
  const auto manifest = bytes ? format::decode_manifest(*bytes, *index_, now->manifest_name)
                              : Result<format::Manifest>(fail(ErrorKind::not_found, ""));
  for (const auto& key : keys) {
    if (manifest) check_removal(key, *now, *manifest);
  }
  return inner_->remove(keys, deadline);
}

}  // namespace varve::sim
