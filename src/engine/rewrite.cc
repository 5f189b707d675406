#include "engine/rewrite.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "ann/kmeans.h"
#include "engine/fold.h"
#include "engine/manifest_edit.h"

namespace varve::engine {
namespace {

// A group of which less than this share is still used is rewritten with the rest.
constexpr double kGroupUsedMin = 0.85;

// What is known of a cluster without reading it.
struct Shape {
  std::uint64_t live = 0;
  std::uint64_t stale = 0;
  bool scattered = false;
};

Shape shape_of(const Generation& generation, std::size_t centroid) {
  Shape shape;
  for (const std::uint32_t number : generation.parts_of(centroid)) {
    const PartView& part = generation.parts()[number];
    shape.live += part.live_rows();
    shape.stale += part.stale_count;
  }
  shape.scattered = generation.is_scattered(centroid);
  return shape;
}

struct Bounds {
  std::uint64_t target;
  bool is_dirty(const Shape& shape) const { return shape.scattered || shape.stale > 0; }
  // Sizes of trained clusters vary by themselves; only one that has changed since is resized, so
  // that compacting twice changes nothing.
  bool too_large(const Shape& shape) const { return is_dirty(shape) && shape.live > 2 * target; }
  bool too_small(const Shape& shape) const { return is_dirty(shape) && 4 * shape.live < target; }
};

Bounds bounds_of(const Generation& generation) {
  return {ann::cluster_rows_target(generation.live_rows(), generation.manifest().dim)};
}

// One live row, read.
struct RowData {
  std::shared_ptr<const PartRows> rows;
  std::shared_ptr<const format::RowIds> ids;
  std::shared_ptr<const format::RowMetadata> metadata;
  std::uint32_t row = 0;

  std::string_view key() const { return ids->key(row); }
  std::string_view text() const {
    return metadata == nullptr ? std::string_view{} : metadata->at(row);
  }
};

class Rewrite {
 public:
  Rewrite(Core& core, const JobContext& job, const View& view, CompactReport& report)
      : core_(core),
        job_(job),
        generation_(*view.generation),
        bounds_(bounds_of(generation_)),
        edit_{generation_.manifest(), {}},
        writer_(job, encoder_of(edit_.manifest)),
        report_(report) {}

  Result<format::Manifest> run() {
    choose();
    VARVE_CHECK(dissolve());
    for (std::size_t i = 0; i < count(); ++i) {
      if (dissolved_[i]) continue;
      if (chosen_[i]) {
        VARVE_CHECK(rewrite_cluster(i));
      } else {
        keep_centroid(generation_.cluster_ids()[i], generation_.centroids().centroid(i));
      }
    }
    VARVE_TRY(WrittenGroups written, writer_.finish());
    drop_rewritten_parts();
    edit_.manifest.groups.insert(edit_.manifest.groups.end(), written.groups.begin(),
                                 written.groups.end());
    centroids_.dim = edit_.manifest.dim;
    scale_probe_table();
    VARVE_CHECK(set_centroids(job_, centroids_, edit_));
    VARVE_CHECK(
        add_key_map(job_, generation_, generation_.stale(), std::move(written.locations), edit_));
    VARVE_CHECK(set_stale(job_, generation_.stale(), edit_));
    return std::move(edit_.manifest);
  }

  std::vector<std::string> take_replaced() { return std::move(edit_.replaced); }

 private:
  std::size_t count() const { return generation_.cluster_ids().size(); }

  void choose() {
    chosen_.assign(count(), false);
    dissolved_.assign(count(), false);
    received_.resize(count());
    std::size_t left = count();
    for (std::size_t i = 0; i < count(); ++i) {
      const Shape shape = shape_of(generation_, i);
      if (left > 1 && bounds_.too_small(shape)) {
        dissolved_[i] = true;
        --left;
        continue;
      }
      chosen_[i] = bounds_.is_dirty(shape);
    }
    choose_rest_of_thin_groups();
  }

  // Space comes back only when the whole object is unused.
  void choose_rest_of_thin_groups() {
    std::vector<std::size_t> centroid_of(generation_.parts().size());
    for (std::size_t i = 0; i < count(); ++i) {
      for (const std::uint32_t part : generation_.parts_of(i)) centroid_of[part] = i;
    }
    std::uint32_t number = 0;
    for (const auto& group : generation_.manifest().groups) {
      std::uint64_t rows = 0, kept = 0;
      for (std::uint32_t i = 0; i < group.parts.size(); ++i) {
        const std::size_t centroid = centroid_of[number + i];
        rows += group.parts[i].rows;
        if (!chosen_[centroid] && !dissolved_[centroid]) kept += group.parts[i].rows;
      }
      const bool thin = static_cast<double>(kept) < kGroupUsedMin * static_cast<double>(rows);
      for (std::uint32_t i = 0; i < group.parts.size(); ++i) {
        if (thin && !dissolved_[centroid_of[number + i]]) chosen_[centroid_of[number + i]] = true;
      }
      number += static_cast<std::uint32_t>(group.parts.size());
    }
  }

  Result<std::vector<RowData>> read_cluster(std::size_t centroid) const {
    std::vector<RowData> result;
    for (const std::uint32_t number : generation_.parts_of(centroid)) {
      const PartView& part = generation_.parts()[number];
      RowData data;
      VARVE_TRY(data.rows, generation_.read_rows(core_.env, number));
      VARVE_TRY(data.ids, generation_.read_ids(core_.env, number));
      VARVE_TRY(data.metadata, generation_.read_metadata(core_.env, number));
      for (data.row = 0; data.row < part.slot->ref.rows; ++data.row) {
        if (!part.is_stale(data.row)) result.push_back(data);
      }
    }
    return result;
  }

  std::vector<float> values_of(std::span<const RowData> rows) const {
    const std::uint32_t dim = edit_.manifest.dim;
    std::vector<float> values(rows.size() * dim);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      kernels::widen(rows[i].rows->rows, rows[i].row, values.data() + i * dim);
      if (edit_.manifest.metric == Metric::cosine) normalise(values.data() + i * dim, dim);
    }
    return values;
  }

  // Rows of clusters that are too small go to the nearest of the others.
  Status dissolve() {
    std::vector<float> kept;
    std::vector<std::size_t> kept_centroids;
    for (std::size_t i = 0; i < count(); ++i) {
      if (dissolved_[i]) continue;
      const auto centroid = generation_.centroids().centroid(i);
      kept.insert(kept.end(), centroid.begin(), centroid.end());
      kept_centroids.push_back(i);
    }
    const std::uint32_t dim = edit_.manifest.dim;
    const ann::CentroidSet others(std::move(kept), dim);
    for (std::size_t i = 0; i < count(); ++i) {
      if (!dissolved_[i]) continue;
      VARVE_TRY(auto rows, read_cluster(i));
      ++report_.merges;
      if (rows.empty()) continue;
      const auto values = values_of(rows);
      std::vector<std::uint32_t> nearest(rows.size());
      others.assign({values.data(), rows.size(), dim}, nearest, {}, *core_.env.compute);
      for (std::size_t j = 0; j < rows.size(); ++j) {
        const std::size_t target = kept_centroids[nearest[j]];
        received_[target].push_back(std::move(rows[j]));
        chosen_[target] = true;
      }
    }
    return {};
  }

  void keep_centroid(std::uint32_t cluster, std::span<const float> centroid) {
    centroids_.clusters.push_back(cluster);
    centroids_.values.insert(centroids_.values.end(), centroid.begin(), centroid.end());
  }

  Status rewrite_cluster(std::size_t centroid) {
    VARVE_TRY(auto rows, read_cluster(centroid));
    rows.insert(rows.end(), received_[centroid].begin(), received_[centroid].end());
    received_[centroid].clear();
    ++report_.clusters_rewritten;
    if (rows.size() <= 2 * bounds_.target) {
      keep_centroid(generation_.cluster_ids()[centroid],
                    generation_.centroids().centroid(centroid));
      return write(generation_.cluster_ids()[centroid], generation_.centroids().centroid(centroid),
                   rows);
    }
    return split(rows);
  }

  Status split(std::span<const RowData> rows) {
    const std::uint32_t dim = edit_.manifest.dim;
    const auto values = values_of(rows);
    const auto pieces =
        static_cast<std::uint32_t>((rows.size() + bounds_.target - 1) / bounds_.target);
    const auto trained = train_centroids(values, dim, pieces, edit_.manifest.next_cluster,
                                         edit_.manifest.seed, *core_.env.compute);
    edit_.manifest.next_cluster += static_cast<std::uint32_t>(trained.clusters.size());
    const ann::CentroidSet set(trained.values, dim);
    std::vector<std::uint32_t> nearest(rows.size());
    set.assign({values.data(), rows.size(), dim}, nearest, {}, *core_.env.compute);
    ++report_.splits;
    for (std::uint32_t piece = 0; piece < trained.clusters.size(); ++piece) {
      keep_centroid(trained.clusters[piece], set.centroid(piece));
      std::vector<RowData> members;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (nearest[i] == piece) members.push_back(rows[i]);
      }
      VARVE_CHECK(write(trained.clusters[piece], set.centroid(piece), members));
    }
    return {};
  }

  Status write(std::uint32_t cluster, std::span<const float> centroid,
               std::span<const RowData> rows) {
    if (rows.empty()) return {};
    auto type = rows.front().rows->rows.type;
    for (const RowData& row : rows) type = kernels::common_type(type, row.rows->rows.type);
    VARVE_CHECK(writer_.start_cluster(cluster, centroid, type));
    for (const RowData& row : rows) {
      VARVE_CHECK(
          writer_.add(row.rows->rows, row.row, row.key(), row.ids->lsn(row.row), row.text()));
    }
    return {};
  }

  // Pieces of a cluster that was split are visited instead of it: as many more as there are now.
  // The table is fitted anew when the index is rebuilt.
  void scale_probe_table() {
    const std::uint64_t before = count();
    const std::uint64_t after = centroids_.clusters.size();
    if (after <= before) return;
    for (auto& point : edit_.manifest.probe_table) {
      const std::uint64_t scaled = (point.nprobe * after + before - 1) / before;
      point.nprobe = static_cast<std::uint32_t>(std::min(scaled, after));
    }
  }

  void drop_rewritten_parts() {
    std::unordered_set<std::uint32_t> gone;
    for (std::size_t i = 0; i < count(); ++i) {
      if (chosen_[i] || dissolved_[i]) gone.insert(generation_.cluster_ids()[i]);
    }
    for (auto& group : edit_.manifest.groups) {
      std::erase_if(group.parts,
                    [&](const format::PartRef& part) { return gone.contains(part.cluster); });
      if (group.parts.empty()) edit_.replaced.push_back(group.blob.name);
    }
    std::erase_if(edit_.manifest.groups,
                  [](const format::GroupRef& group) { return group.parts.empty(); });
  }

  Core& core_;
  const JobContext job_;
  const Generation& generation_;
  const Bounds bounds_;
  ManifestEdit edit_;
  GroupWriter writer_;
  CompactReport& report_;
  format::Centroids centroids_;
  std::vector<bool> chosen_;     // rewritten in place or split
  std::vector<bool> dissolved_;  // rows go to neighbours
  std::vector<std::vector<RowData>> received_;
};

}  // namespace

bool rewrite_is_due(const Generation& generation) {
  const Bounds bounds = bounds_of(generation);
  const std::size_t count = generation.cluster_ids().size();
  for (std::size_t i = 0; i < count; ++i) {
    if (bounds.is_dirty(shape_of(generation, i))) return true;
  }
  return false;
}

Result<JobCommit> prepare_rewrite(Core& core, const JobContext& job, const View& view,
                                  CompactReport& report) {
  const CompactReport before = report;
  Rewrite rewrite(core, job, view, report);
  auto manifest = rewrite.run();
  if (!manifest) {
    report = before;
    return tl::unexpected(manifest.error());
  }
  return JobCommit{std::move(*manifest), view.tail->begin(), view.generation->manifest_name(),
                   view.epoch, rewrite.take_replaced()};
}

}  // namespace varve::engine
