#include "engine/manifest_edit.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/random.h"
#include "format/envelope.h"

namespace varve::engine {
namespace {

// Merging while the older segment is at most twice the newer keeps sizes geometric.
constexpr std::uint64_t kMergeRatio = 2;

struct NewBlob {
  std::string name;
  base::Nonce nonce;
};

NewBlob name_blob(const JobContext& job) {
  const base::Nonce nonce = base::make_nonce(*job.env.random);
  return {job.names.blob(job.id, nonce), nonce};
}

Result<format::BlobRef> write(const JobContext& job, const NewBlob& blob,
                              const base::Bytes& object) {
  VARVE_CHECK(write_blob(job, object, blob.name, blob.nonce));
  VARVE_TRY(const auto envelope, format::decode_envelope(object, job.index, blob.name));
  return format::BlobRef{blob.name, object.size(), envelope.body_hash};
}

std::unordered_map<std::uint64_t, std::uint32_t> rows_by_part(const format::Manifest& manifest) {
  std::unordered_map<std::uint64_t, std::uint32_t> rows;
  for (const auto& group : manifest.groups) {
    for (const auto& part : group.parts) rows.emplace(part.id, part.rows);
  }
  return rows;
}

}  // namespace

Status add_key_map(const JobContext& job, const Generation& base, const format::StaleRows& stale,
                   std::vector<format::KeyLocation> locations, ManifestEdit& edit) {
  auto& segments = edit.manifest.key_map;
  const auto live_parts = rows_by_part(edit.manifest);
  const auto is_dead = [&](const format::KeyLocation& location) {
    if (!live_parts.contains(location.part)) return true;
    const auto rows = stale.find(location.part);
    return rows != stale.end() && rows->second.contains(location.row);
  };
  VARVE_TRY(auto old, base.read_key_map(job.env));
  while (!segments.empty() && old.back().size() <= kMergeRatio * locations.size()) {
    for (const auto& entry : old.back().entries()) {
      if (!is_dead(entry)) locations.push_back(entry);
    }
    edit.replaced.push_back(segments.back().name);
    segments.pop_back();
    old.pop_back();
  }
  if (locations.empty()) return {};
  const NewBlob blob = name_blob(job);
  VARVE_TRY(auto ref,
            write(job, blob,
                  format::encode_key_map(std::move(locations), job.index, blob.name, blob.nonce)));
  segments.push_back(std::move(ref));
  return {};
}

Status set_stale(const JobContext& job, format::StaleRows stale, ManifestEdit& edit) {
  const auto live_parts = rows_by_part(edit.manifest);
  std::erase_if(stale, [&](const auto& entry) {
    return !live_parts.contains(entry.first) || entry.second.isEmpty();
  });
  count_rows(stale, edit.manifest);
  if (edit.manifest.stale) edit.replaced.push_back(edit.manifest.stale->name);
  edit.manifest.stale.reset();
  if (stale.empty()) return {};
  const NewBlob blob = name_blob(job);
  VARVE_TRY(edit.manifest.stale,
            write(job, blob, format::encode_stale(stale, job.index, blob.name, blob.nonce)));
  return {};
}

Status set_centroids(const JobContext& job, const format::Centroids& centroids,
                     ManifestEdit& edit) {
  if (edit.manifest.centroids) edit.replaced.push_back(edit.manifest.centroids->name);
  edit.manifest.centroids.reset();
  if (centroids.clusters.empty()) return {};
  const NewBlob blob = name_blob(job);
  VARVE_TRY(
      edit.manifest.centroids,
      write(job, blob, format::encode_centroids(centroids, job.index, blob.name, blob.nonce)));
  return {};
}

Status set_directions(const JobContext& job, const kernels::Directions& directions,
                      ManifestEdit& edit) {
  if (edit.manifest.directions) edit.replaced.push_back(edit.manifest.directions->name);
  edit.manifest.directions.reset();
  if (directions.count() == 0) return {};
  const NewBlob blob = name_blob(job);
  VARVE_TRY(
      edit.manifest.directions,
      write(job, blob, format::encode_directions(directions, job.index, blob.name, blob.nonce)));
  return {};
}

void scale_probe_table(format::Manifest& manifest, std::uint64_t before, std::uint64_t after) {
  if (before == 0 || after <= before) return;
  base::Random random(manifest.seed ^ manifest.next_cluster);
  for (auto& point : manifest.probe_table) {
    const std::uint64_t scaled = (point.nprobe * after + random.below(before)) / before;
    point.nprobe = static_cast<std::uint32_t>(std::min(scaled, after));
  }
}

void count_rows(const format::StaleRows& stale, format::Manifest& manifest) {
  std::uint64_t rows = 0, dead = 0;
  for (const auto& group : manifest.groups) {
    for (const auto& part : group.parts) {
      rows += part.rows;
      manifest.next_part = std::max(manifest.next_part, part.id + 1);
      const auto entry = stale.find(part.id);
      if (entry != stale.end()) dead += entry->second.cardinality();
    }
  }
  manifest.live_rows = rows - dead;
  manifest.stale_rows = dead;
}

}  // namespace varve::engine
