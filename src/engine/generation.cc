#include "engine/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/sha256.h"
#include "engine/group_writer.h"
#include "engine/section_reader.h"
#include "kernels/distance.h"

namespace varve::engine {
namespace {

// Between these neither the terms of a product with a unit vector that matter underflow nor does
// their sum overflow.
constexpr float kSquaredNormMin = 1e-24F;
constexpr float kSquaredNormMax = 1e36F;

Error missing(std::string_view name) {
  return Error{ErrorKind::not_found, fmt::format("object '{}' not found", name), {}};
}

// A part's stale rows as words. `corrupt`: a row number past the end.
Status fill_stale(const format::StaleRows& stale, PartView& view) {
  const auto entry = stale.find(view.slot->ref.id);
  if (entry == stale.end()) return {};
  const std::uint32_t rows = view.slot->ref.rows;
  view.stale.assign((rows + 63) / 64, 0);
  for (const std::uint32_t row : entry->second) {
    if (row >= rows) {
      return fail(ErrorKind::corrupt, fmt::format("stale row {} of part {} which has {} rows", row,
                                                  view.slot->ref.id, rows));
    }
    view.stale[row / 64] |= std::uint64_t{1} << (row % 64);
    ++view.stale_count;
  }
  return {};
}

Result<PartRows> make_rows(base::Bytes section, const PartSlot& slot,
                           const format::Manifest& manifest) {
  PartRows part;
  VARVE_TRY(part.rows, format::view_rows(section, slot.ref, manifest.dim, slot.context()));
  part.section = std::move(section);
  if (manifest.metric == Metric::cosine) {
    part.inverse_norms.resize(part.rows.count);
    kernels::squared_norm(part.rows, part.inverse_norms.data());
    for (std::uint32_t row = 0; row < part.rows.count; ++row) {
      float& norm = part.inverse_norms[row];
      const bool fits = norm >= kSquaredNormMin && norm <= kSquaredNormMax;
      norm = fits ? 1.0F / std::sqrt(norm) : 0.0F;
      if (!fits) part.extreme.push_back(row);
    }
  }
  return part;
}

// A pointer into `slot` that keeps it alive.
template <typename T>
std::shared_ptr<const T> pinned(const std::shared_ptr<PartSlot>& slot, const T* value) {
  return std::shared_ptr<const T>(slot, value);
}

bool has_metadata(const PartSlot& slot) {
  return slot.ref.section(format::Section::metadata).stored_bytes > 0;
}

// Slots of `parts` for which `missing` holds.
template <typename Missing>
std::vector<PartSlot*> slots_missing(std::span<const PartView> views,
                                     std::span<const std::uint32_t> parts, Missing is_missing) {
  std::vector<PartSlot*> slots;
  for (const std::uint32_t part : parts) {
    PartSlot* slot = views[part].slot.get();
    if (is_missing(*slot)) slots.push_back(slot);
  }
  return slots;
}

}  // namespace

std::string PartSlot::context() const {
  return fmt::format("object '{}': part {}", object, ref.id);
}

Result<base::Bytes> read_blob(const Env& env, const format::BlobRef& ref) {
  VARVE_TRY(auto object, env.store->get(ref.name, env.deadline()));
  if (!object) return tl::unexpected(missing(ref.name));
  if (object->bytes.size() != ref.bytes) {
    return fail(ErrorKind::corrupt, fmt::format("object '{}' has {} bytes, {} expected", ref.name,
                                                object->bytes.size(), ref.bytes));
  }
  return object->bytes;
}

Result<std::shared_ptr<Generation>> Generation::load(const Env& env, const format::Uuid& index,
                                                     const format::Head& head,
                                                     const Generation* previous) {
  auto generation = std::make_shared<Generation>();
  generation->index_ = index;
  generation->manifest_name_ = head.manifest_name;
  VARVE_TRY(auto object, env.store->get(head.manifest_name, env.deadline()));
  if (!object) return tl::unexpected(missing(head.manifest_name));
  if (object->bytes.size() != head.manifest_bytes ||
      base::sha256(object->bytes) != head.manifest_sha256) {
    return fail(ErrorKind::corrupt,
                fmt::format("object '{}' is not the manifest that HEAD names", head.manifest_name));
  }
  format::Manifest& manifest = generation->manifest_;
  VARVE_TRY(manifest, format::decode_manifest(object->bytes, index, head.manifest_name));
  if (manifest.centroids) {
    VARVE_TRY(auto bytes, read_blob(env, *manifest.centroids));
    VARVE_TRY(auto centroids,
              format::decode_centroids(bytes, manifest.dim, index, manifest.centroids->name));
    generation->cluster_ids_ = std::move(centroids.clusters);
    generation->centroids_ = ann::CentroidSet(std::move(centroids.values), manifest.dim);
  }
  if (manifest.stale) {
    VARVE_TRY(auto bytes, read_blob(env, *manifest.stale));
    VARVE_TRY(generation->stale_, format::decode_stale(bytes, index, manifest.stale->name));
  }
  VARVE_CHECK(generation->index_parts(previous));
  return generation;
}

Status Generation::index_parts(const Generation* previous) {
  std::unordered_map<std::uint32_t, std::uint32_t> centroid_of;
  for (std::uint32_t i = 0; i < cluster_ids_.size(); ++i) centroid_of[cluster_ids_[i]] = i;
  std::vector<std::uint32_t> centroid_of_part;
  for (const format::GroupRef& group : manifest_.groups) {
    for (const format::PartRef& ref : group.parts) {
      const auto centroid = centroid_of.find(ref.cluster);
      if (centroid == centroid_of.end()) {
        return fail(ErrorKind::corrupt, fmt::format("manifest '{}': part {} of unknown cluster {}",
                                                    manifest_name_, ref.id, ref.cluster));
      }
      PartView view;
      const auto known = previous == nullptr ? std::nullopt : previous->part_by_id(ref.id);
      view.slot =
          known ? previous->parts_[*known].slot : std::make_shared<PartSlot>(ref, group.blob.name);
      VARVE_CHECK(fill_stale(stale_, view));
      if (!part_numbers_.emplace(ref.id, static_cast<std::uint32_t>(parts_.size())).second) {
        return fail(ErrorKind::corrupt,
                    fmt::format("manifest '{}': part {} twice", manifest_name_, ref.id));
      }
      parts_.push_back(std::move(view));
      centroid_of_part.push_back(centroid->second);
    }
  }
  cluster_begins_.assign(cluster_ids_.size() + 1, 0);
  for (const std::uint32_t centroid : centroid_of_part) ++cluster_begins_[centroid + 1];
  for (std::size_t i = 1; i < cluster_begins_.size(); ++i) {
    cluster_begins_[i] += cluster_begins_[i - 1];
  }
  cluster_parts_.resize(parts_.size());
  std::vector<std::uint32_t> next(cluster_begins_.begin(), cluster_begins_.end() - 1);
  for (std::uint32_t part = 0; part < parts_.size(); ++part) {
    cluster_parts_[next[centroid_of_part[part]]++] = part;
  }
  return {};
}

std::span<const std::uint32_t> Generation::parts_of(std::size_t centroid) const {
  return std::span(cluster_parts_)
      .subspan(cluster_begins_[centroid],
               cluster_begins_[centroid + 1] - cluster_begins_[centroid]);
}

bool Generation::is_scattered(std::size_t centroid) const {
  const auto parts = parts_of(centroid);
  if (parts.size() < 2) return false;
  std::uint64_t bytes = 0;
  for (const std::uint32_t part : parts) {
    for (const auto& section : parts_[part].slot->ref.sections) bytes += section.raw_bytes;
  }
  // The writer closes a part when it holds kGroupBytes; encoding may shrink it a little.
  return parts.size() > 1 + 2 * bytes / kGroupBytes;
}

std::optional<std::uint32_t> Generation::part_by_id(std::uint64_t id) const {
  const auto entry = part_numbers_.find(id);
  if (entry == part_numbers_.end()) return std::nullopt;
  return entry->second;
}

Status Generation::load_rows(const Env& env, std::span<const std::uint32_t> parts) const {
  const auto slots =
      slots_missing(parts_, parts, [](const PartSlot& slot) { return slot.rows.get() == nullptr; });
  return read_sections(env, slots, format::Section::rows,
                       [&](PartSlot& slot, base::Bytes section) -> Status {
                         VARVE_TRY(auto rows, make_rows(std::move(section), slot, manifest_));
                         slot.rows.set(std::move(rows));
                         return {};
                       });
}

Status Generation::load_ids(const Env& env, std::span<const std::uint32_t> parts) const {
  const auto slots =
      slots_missing(parts_, parts, [](const PartSlot& slot) { return slot.ids.get() == nullptr; });
  return read_sections(
      env, slots, format::Section::ids, [](PartSlot& slot, const base::Bytes& section) -> Status {
        VARVE_TRY(auto ids, format::RowIds::decode(section, slot.ref.rows, slot.context()));
        slot.ids.set(std::move(ids));
        return {};
      });
}

Status Generation::load_metadata(const Env& env, std::span<const std::uint32_t> parts) const {
  const auto slots = slots_missing(parts_, parts, [](const PartSlot& slot) {
    return has_metadata(slot) && slot.metadata.get() == nullptr;
  });
  return read_sections(env, slots, format::Section::metadata,
                       [](PartSlot& slot, const base::Bytes& section) -> Status {
                         VARVE_TRY(auto metadata, format::RowMetadata::decode(
                                                      section, slot.ref.rows, slot.context()));
                         slot.metadata.set(std::move(metadata));
                         return {};
                       });
}

Result<std::shared_ptr<const PartRows>> Generation::read_rows(const Env& env,
                                                              std::uint32_t part) const {
  const auto& slot = parts_[part].slot;
  if (const PartRows* rows = slot->rows.get()) return pinned(slot, rows);
  VARVE_TRY(auto section, read_section(env, *slot, format::Section::rows));
  VARVE_TRY(auto rows, make_rows(std::move(section), *slot, manifest_));
  return std::make_shared<const PartRows>(std::move(rows));
}

Result<std::shared_ptr<const format::RowIds>> Generation::read_ids(const Env& env,
                                                                   std::uint32_t part) const {
  const auto& slot = parts_[part].slot;
  if (const format::RowIds* ids = slot->ids.get()) return pinned(slot, ids);
  VARVE_TRY(const auto section, read_section(env, *slot, format::Section::ids));
  VARVE_TRY(auto ids, format::RowIds::decode(section, slot->ref.rows, slot->context()));
  return std::make_shared<const format::RowIds>(std::move(ids));
}

Result<std::shared_ptr<const format::RowMetadata>> Generation::read_metadata(
    const Env& env, std::uint32_t part) const {
  const auto& slot = parts_[part].slot;
  if (const format::RowMetadata* metadata = slot->metadata.get()) return pinned(slot, metadata);
  if (!has_metadata(*slot)) return nullptr;
  VARVE_TRY(const auto section, read_section(env, *slot, format::Section::metadata));
  VARVE_TRY(auto metadata, format::RowMetadata::decode(section, slot->ref.rows, slot->context()));
  return std::make_shared<const format::RowMetadata>(std::move(metadata));
}

Result<std::vector<format::KeyMapSegment>> Generation::read_key_map(const Env& env) const {
  std::vector<format::KeyMapSegment> segments;
  for (const format::BlobRef& ref : manifest_.key_map) {
    VARVE_TRY(const auto bytes, read_blob(env, ref));
    VARVE_TRY(auto segment, format::KeyMapSegment::decode(bytes, index_, ref.name));
    segments.push_back(std::move(segment));
  }
  return segments;
}

Status Generation::load_key_map(const Env& env) const {
  base::Turn::Held held(lazy_);
  if (key_map_.get() != nullptr) return {};
  VARVE_TRY(auto segments, read_key_map(env));
  key_map_.set(std::move(segments));
  return {};
}

Result<std::vector<std::optional<RowLocation>>> Generation::find(
    const Env& env, std::span<const std::string_view> keys) const {
  VARVE_CHECK(load_key_map(env));
  const auto* segments = key_map_.get();
  std::vector<std::vector<RowLocation>> candidates(keys.size());
  std::vector<std::uint32_t> needed;
  std::vector<format::KeyLocation> found;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    found.clear();
    for (const auto& segment : *segments) segment.find(format::key_hash(keys[i]), found);
    for (const format::KeyLocation& location : found) {
      const auto part = part_by_id(location.part);
      if (!part || location.row >= parts_[*part].slot->ref.rows) continue;
      if (parts_[*part].is_stale(location.row)) continue;
      candidates[i].push_back({*part, location.row});
      needed.push_back(*part);
    }
  }
  std::sort(needed.begin(), needed.end());
  needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
  VARVE_CHECK(load_ids(env, needed));
  std::vector<std::optional<RowLocation>> locations(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (const RowLocation& candidate : candidates[i]) {
      if (key_of(candidate) == keys[i]) locations[i] = candidate;
    }
  }
  return locations;
}

Result<std::span<const RowLocation>> Generation::sorted_rows(const Env& env) const {
  base::Turn::Held held(lazy_);
  if (const auto* sorted = sorted_.get()) return std::span(*sorted);
  std::vector<std::uint32_t> all(parts_.size());
  for (std::uint32_t part = 0; part < all.size(); ++part) all[part] = part;
  VARVE_CHECK(load_ids(env, all));
  std::vector<RowLocation> rows;
  for (const std::uint32_t part : all) {
    for (std::uint32_t row = 0; row < parts_[part].slot->ref.rows; ++row) {
      if (!parts_[part].is_stale(row)) rows.push_back({part, row});
    }
  }
  std::sort(rows.begin(), rows.end(),
            [this](const RowLocation& a, const RowLocation& b) { return key_of(a) < key_of(b); });
  sorted_.set(std::move(rows));
  return std::span(*sorted_.get());
}

std::string_view Generation::key_of(const RowLocation& location) const {
  return parts_[location.part].slot->ids.get()->key(location.row);
}

std::size_t Generation::resident_bytes() const {
  std::size_t bytes = centroids_.values().size_bytes();
  for (const PartView& part : parts_) {
    if (const auto* rows = part.slot->rows.get()) bytes += rows->resident_bytes();
    if (const auto* ids = part.slot->ids.get()) bytes += ids->resident_bytes();
    bytes += part.stale.size() * sizeof(std::uint64_t);
  }
  return bytes;
}

}  // namespace varve::engine
