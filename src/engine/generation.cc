#include "engine/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ann/code_encoder.h"
#include "base/sha256.h"
#include "engine/group_writer.h"
#include "engine/resident.h"
#include "engine/section_cache.h"
#include "engine/section_reader.h"
#include "engine/section_views.h"
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

// About what an entry of a map of numbers takes, the rounding of malloc included.
constexpr std::size_t kMapEntryBytes = 64;

// The first keys after one, as many as fit.
class FirstKeys {
 public:
  FirstKeys(std::string_view after, std::uint64_t bytes_max) : bytes_max_(bytes_max) {
    run_.after = after;
    run_.is_last = true;
  }

  void add(std::string_view key) {
    // The empty string is no key, so that it comes before all of them.
    if (key <= run_.after || (!run_.is_last && key > end_)) return;
    run_.keys.emplace_back(key);
    run_.bytes += bytes_of(run_.keys.back());
    if (run_.bytes > bytes_max_ && run_.keys.size() > 1) drop_half();
  }

  KeyRun take() {
    std::sort(run_.keys.begin(), run_.keys.end());
    return std::move(run_);
  }

 private:
  static std::size_t bytes_of(const std::string& key) { return sizeof(key) + key.capacity(); }

  // What is kept goes up to end_; keys behind it are not wanted any more.
  void drop_half() {
    const auto last = run_.keys.begin() + static_cast<std::ptrdiff_t>((run_.keys.size() - 1) / 2);
    std::nth_element(run_.keys.begin(), last, run_.keys.end());
    end_ = *last;
    for (auto key = last + 1; key != run_.keys.end(); ++key) run_.bytes -= bytes_of(*key);
    run_.keys.erase(last + 1, run_.keys.end());
    run_.is_last = false;
  }

  KeyRun run_;
  std::string end_;
  const std::uint64_t bytes_max_;
};

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

}  // namespace

PartRows with_norms(base::Bytes section, const kernels::Rows& rows, Metric metric) {
  PartRows part;
  part.rows = rows;
  part.section = std::move(section);
  if (metric == Metric::cosine) {
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

Result<PartRows> make_part_rows(base::Bytes section, const PartSlot& slot,
                                const SectionContext& context) {
  VARVE_TRY(const kernels::Rows rows,
            format::view_rows(section, slot.ref, context.dim, slot.context()));
  return with_norms(std::move(section), rows, context.metric);
}

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

namespace {

// They are the same for as long as the index is not built anew.
Result<std::shared_ptr<const kernels::Directions>> load_directions(const Env& env,
                                                                   const format::Uuid& index,
                                                                   const format::Manifest& manifest,
                                                                   const Generation* previous) {
  const format::BlobRef& ref = *manifest.directions;
  if (previous != nullptr && previous->manifest().directions &&
      previous->manifest().directions->name == ref.name) {
    return previous->directions();
  }
  VARVE_TRY(const auto bytes, read_blob(env, ref));
  VARVE_TRY(auto directions, format::decode_directions(bytes, manifest.dim, index, ref.name));
  const std::uint32_t words_a_bit = directions.padded_dim() / 64;
  if (manifest.extra_words < words_a_bit + directions.count() / kernels::kDirectionsStep) {
    return fail(ErrorKind::corrupt,
                fmt::format("object '{}': {} directions are too many for {} words", ref.name,
                            directions.count(), manifest.extra_words));
  }
  return std::make_shared<const kernels::Directions>(std::move(directions));
}

}  // namespace

Result<std::shared_ptr<Generation>> Generation::load(const Env& env, const format::Uuid& index,
                                                     const format::Head& head,
                                                     const Generation* previous) {
  auto generation = std::make_shared<Generation>();
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
  generation->context_ = {index, manifest.dim, manifest.metric};
  if (manifest.centroids) {
    VARVE_TRY(auto bytes, read_blob(env, *manifest.centroids));
    VARVE_TRY(auto centroids,
              format::decode_centroids(bytes, manifest.dim, index, manifest.centroids->name));
    generation->cluster_ids_ = std::move(centroids.clusters);
    generation->centroids_ = ann::CentroidSet(std::move(centroids.values), manifest.dim);
  }
  if (manifest.dim >= ann::kSignDimMin) {
    generation->rotation_.emplace(manifest.dim, manifest.seed);
    generation->ranking_ = ann::CentroidRanking(generation->centroids_, *generation->rotation_);
  }
  if (manifest.stale) {
    VARVE_TRY(auto bytes, read_blob(env, *manifest.stale));
    VARVE_TRY(generation->stale_, format::decode_stale(bytes, index, manifest.stale->name));
  }
  if (manifest.directions) {
    VARVE_TRY(generation->directions_, load_directions(env, index, manifest, previous));
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
  radii_.assign(cluster_ids_.size(), 0);
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    const float radius = parts_[part].slot->ref.radius;
    float& most = radii_[centroid_of_part[part]];
    most = std::max(most, radius > 0 ? radius : std::numeric_limits<float>::infinity());
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

template <typename View>
Result<std::vector<View>> Generation::views(const Env& env,
                                            std::span<const std::uint32_t> parts) const {
  const auto is_absent = [](const PartSlot& slot) {
    return slot.ref.section(View::kSection).stored_bytes == 0;
  };
  std::vector<PartSlot*> slots;
  slots.reserve(parts.size());
  for (const std::uint32_t part : parts) {
    if (!is_absent(*parts_[part].slot)) slots.push_back(parts_[part].slot.get());
  }
  VARVE_TRY(auto views, env.sections->views<View>(env, context_, slots));
  if (views.size() == parts.size()) return views;
  std::vector<View> all(parts.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!is_absent(*parts_[parts[i]].slot)) all[i] = std::move(views[next++]);
  }
  return all;
}

template Result<std::vector<CodesView>> Generation::views(const Env&,
                                                          std::span<const std::uint32_t>) const;
template Result<std::vector<ExtraView>> Generation::views(const Env&,
                                                          std::span<const std::uint32_t>) const;
template Result<std::vector<RowsView>> Generation::views(const Env&,
                                                         std::span<const std::uint32_t>) const;
template Result<std::vector<IdsView>> Generation::views(const Env&,
                                                        std::span<const std::uint32_t>) const;
template Result<std::vector<AttributesView>> Generation::views(
    const Env&, std::span<const std::uint32_t>) const;
template Result<std::vector<MetadataView>> Generation::views(const Env&,
                                                             std::span<const std::uint32_t>) const;

Result<std::shared_ptr<const PartRows>> Generation::read_rows(const Env& env,
                                                              std::uint32_t part) const {
  PartSlot& slot = *parts_[part].slot;
  VARVE_TRY(auto section, read_section(env, slot, format::Section::rows));
  VARVE_TRY(auto rows, make_part_rows(std::move(section), slot, context_));
  return std::make_shared<const PartRows>(std::move(rows));
}

Result<std::shared_ptr<const format::RowIds>> Generation::read_ids(const Env& env,
                                                                   std::uint32_t part) const {
  PartSlot& slot = *parts_[part].slot;
  VARVE_TRY(const auto section, read_section(env, slot, format::Section::ids));
  VARVE_TRY(auto ids, format::RowIds::decode(section, slot.ref.rows, slot.context()));
  return std::make_shared<const format::RowIds>(std::move(ids));
}

Result<std::shared_ptr<const format::RowMetadata>> Generation::read_metadata(
    const Env& env, std::uint32_t part) const {
  PartSlot& slot = *parts_[part].slot;
  if (!slot.has_metadata()) return nullptr;
  VARVE_TRY(const auto section, read_section(env, slot, format::Section::metadata));
  VARVE_TRY(auto metadata, format::RowMetadata::decode(section, slot.ref.rows, slot.context()));
  return std::make_shared<const format::RowMetadata>(std::move(metadata));
}

Result<std::vector<format::KeyMapSegment>> Generation::read_key_map(const Env& env) const {
  std::vector<format::KeyMapSegment> segments;
  for (const format::BlobRef& ref : manifest_.key_map) {
    VARVE_TRY(const auto bytes, read_blob(env, ref));
    VARVE_TRY(auto segment, format::KeyMapSegment::decode(bytes, context_.index, ref.name));
    segments.push_back(std::move(segment));
  }
  return segments;
}

std::shared_ptr<const ResidentSections> Generation::resident() const {
  std::lock_guard lock(resident_mutex_);
  return resident_;
}

void Generation::set_resident(std::shared_ptr<const ResidentSections> sections) const {
  // What was there is let go of without the lock.
  std::lock_guard lock(resident_mutex_);
  resident_.swap(sections);
}

Status Generation::load_key_map(const Env& env) const {
  base::Turn::Held held(lazy_);
  if (key_map_.get() != nullptr) return {};
  VARVE_TRY(auto segments, read_key_map(env));
  key_map_.set(std::move(segments));
  return {};
}

std::size_t Generation::count_within(std::span<const std::uint32_t> parts,
                                     std::initializer_list<format::Section> sections,
                                     std::uint64_t bytes_max) const {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (const format::Section section : sections) {
      bytes += prepared_bytes_max(section, parts_[parts[i]].slot->ref);
    }
    if (bytes > bytes_max && i > 0) return i;
  }
  return parts.size();
}

Result<std::vector<Generation::MaybeFound>> Generation::locate(
    const Env& env, std::span<const std::string_view> keys) const {
  VARVE_CHECK(load_key_map(env));
  std::vector<MaybeFound> found;
  std::vector<format::KeyLocation> located;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    located.clear();
    for (const auto& segment : *key_map_.get()) segment.find(format::key_hash(keys[i]), located);
    for (const format::KeyLocation& location : located) {
      const auto part = part_by_id(location.part);
      if (!part || location.row >= parts_[*part].slot->ref.rows) continue;
      if (parts_[*part].is_stale(location.row)) continue;
      found.push_back({{*part, location.row}, i});
    }
  }
  std::sort(found.begin(), found.end(), [](const MaybeFound& a, const MaybeFound& b) {
    return a.location.part < b.location.part;
  });
  return found;
}

template <typename ReadIds>
Result<std::vector<std::optional<FoundRow>>> Generation::find_by(
    const Env& env, std::span<const std::string_view> keys, const ReadIds& read_ids) const {
  VARVE_TRY(const auto candidates, locate(env, keys));
  std::vector<std::uint32_t> parts;
  std::vector<std::size_t> begins;  // of each part's candidates, and one more
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!parts.empty() && parts.back() == candidates[i].location.part) continue;
    parts.push_back(candidates[i].location.part);
    begins.push_back(i);
  }
  begins.push_back(candidates.size());
  std::vector<std::optional<FoundRow>> found(keys.size());
  for (std::size_t begin = 0; begin < parts.size();) {
    const auto rest = std::span<const std::uint32_t>(parts).subspan(begin);
    const std::size_t count = count_within(rest, {format::Section::ids}, env.held_bytes_max);
    VARVE_CHECK(read_ids(rest.first(count), [&](std::size_t place, const auto& ids) {
      for (std::size_t i = begins[begin + place]; i < begins[begin + place + 1]; ++i) {
        const auto& [location, key] = candidates[i];
        if (ids.key(location.row) != keys[key]) continue;
        found[key] = FoundRow{location, ids.lsn(location.row)};
      }
    }));
    begin += count;
  }
  return found;
}

Result<std::vector<std::optional<FoundRow>>> Generation::find(
    const Env& env, std::span<const std::string_view> keys) const {
  return find_by(env, keys, [&](auto parts, const auto& take) -> Status {
    VARVE_TRY(const auto ids, views<IdsView>(env, parts));
    for (std::size_t i = 0; i < ids.size(); ++i) take(i, ids[i]);
    return {};
  });
}

Result<std::vector<std::optional<FoundRow>>> Generation::find_in_store(
    const Env& env, std::span<const std::string_view> keys) const {
  return find_by(env, keys, [&](auto parts, const auto& take) -> Status {
    std::vector<PartSlot*> slots;
    for (const std::uint32_t part : parts) slots.push_back(parts_[part].slot.get());
    SectionReads reads(env, slots, format::Section::ids);
    while (auto arrived = reads.next()) {
      VARVE_CHECK(arrived->section);
      const PartSlot& slot = *slots[arrived->index];
      VARVE_TRY(const auto ids,
                format::RowIds::decode(*arrived->section, slot.ref.rows, slot.context()));
      take(arrived->index, ids);
    }
    return {};
  });
}

std::shared_ptr<const KeyRun> Generation::kept_run() const {
  std::lock_guard lock(run_mutex_);
  return run_;
}

Result<std::shared_ptr<const KeyRun>> Generation::key_run(const Env& env,
                                                          std::string_view start_after) const {
  base::Turn::Held held(lazy_);
  if (auto run = kept_run(); run != nullptr && run->covers(start_after)) return run;
  std::vector<std::uint32_t> all(parts_.size());
  std::iota(all.begin(), all.end(), 0U);
  // A run of all keys serves every call.
  const bool fits =
      all.empty() || count_within(all, {format::Section::ids}, env.held_bytes_max) == all.size();
  FirstKeys first(fits ? std::string_view() : start_after,
                  fits ? std::numeric_limits<std::uint64_t>::max() : env.held_bytes_max);
  for (std::span<const std::uint32_t> rest = all; !rest.empty();) {
    const auto parts = rest.first(count_within(rest, {format::Section::ids}, env.held_bytes_max));
    VARVE_TRY(const auto ids, views<IdsView>(env, parts));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const PartView& part = parts_[parts[i]];
      for (std::uint32_t row = 0; row < part.slot->ref.rows; ++row) {
        if (!part.is_stale(row)) first.add(ids[i].key(row));
      }
    }
    rest = rest.subspan(parts.size());
  }
  auto run = std::make_shared<const KeyRun>(first.take());
  std::lock_guard lock(run_mutex_);
  run_ = run;
  return run;
}

std::size_t Generation::resident_bytes() const {
  std::size_t bytes = centroids_.values().size_bytes() + centroids_.size() * sizeof(float) +
                      ranking_.resident_bytes();
  bytes += (cluster_ids_.capacity() + cluster_parts_.capacity() + cluster_begins_.capacity()) *
           sizeof(std::uint32_t);
  // A part is in the manifest, in its slot, in parts_ and in the map of numbers.
  bytes += parts_.size() *
           (sizeof(format::PartRef) + sizeof(PartSlot) + sizeof(PartView) + kMapEntryBytes);
  for (const PartView& part : parts_) {
    bytes += part.slot->object.capacity() + part.stale.capacity() * sizeof(std::uint64_t);
  }
  for (const auto& [part, rows] : stale_) bytes += kMapEntryBytes + rows.getSizeInBytes();
  if (const auto* segments = key_map_.get()) {
    for (const auto& segment : *segments) bytes += segment.resident_bytes();
  }
  if (const auto run = kept_run()) bytes += run->bytes;
  if (const auto sections = resident()) bytes += sections->decoded_bytes();
  return bytes;
}

}  // namespace varve::engine
