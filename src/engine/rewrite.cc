#include "engine/rewrite.h"

#include <algorithm>

#include "ann/kmeans.h"
#include "engine/manifest_edit.h"
#include "engine/train.h"

namespace varve::engine {
namespace {

// A cluster whose rows have moved gets their mean for a centroid: once the square of the distance
// between the two is more than this share of the mean square distance of the rows to the mean.
constexpr double kShiftMax = 0.1;
constexpr std::size_t kMeanRows = 1024;  // that tell the mean
// A cluster that got many rows at once is split again and again, so often at most.
constexpr unsigned kSplitDepthMax = 4;
constexpr std::size_t kSampleRows = 64;  // for each piece

class Rewrite {
 public:
  Rewrite(Core& core, const JobContext& job, const View& view, RewriteExtent extent,
          CompactReport& report)
      : core_(core),
        job_(job),
        generation_(*view.generation),
        bounds_(bounds_of(generation_)),
        edit_{generation_.manifest(), {}},
        rows_(core.env, generation_),
        plan_(generation_, extent, rows_, *core.env.compute),
        writer_(job, ann::CodeEncoder(code_config_of(edit_.manifest, generation_.directions()))),
        report_(report) {}

  Result<format::Manifest> run() {
    VARVE_CHECK(plan_.make(edit_.manifest.next_cluster));
    report_.splits += plan_.splits();
    report_.merges += plan_.dissolved();
    for (std::size_t i = 0; i < plan_.size(); ++i) VARVE_CHECK(write_cluster(i));
    // Something must be left to assign rows to.
    if (centroids_.clusters.empty() && !generation_.cluster_ids().empty()) {
      keep_centroid(generation_.cluster_ids()[0], generation_.centroids().centroid(0));
    }
    VARVE_TRY(WrittenGroups written, writer_.finish());
    drop_rewritten_parts();
    edit_.manifest.groups.insert(edit_.manifest.groups.end(), written.groups.begin(),
                                 written.groups.end());
    centroids_.dim = edit_.manifest.dim;
    scale_probe_table(edit_.manifest, generation_.cluster_ids().size(), centroids_.clusters.size());
    VARVE_CHECK(set_centroids(job_, centroids_, edit_));
    VARVE_CHECK(
        add_key_map(job_, generation_, generation_.stale(), std::move(written.locations), edit_));
    VARVE_CHECK(set_stale(job_, generation_.stale(), edit_));
    return std::move(edit_.manifest);
  }

  std::vector<std::string> take_replaced() { return std::move(edit_.replaced); }

 private:
  Status write_cluster(std::size_t cluster) {
    const ClusterFate fate = plan_.fate(cluster);
    if (fate == ClusterFate::dissolved) return {};
    const std::span<NextCluster> next = plan_.next_of(cluster);
    if (fate == ClusterFate::kept) return add_part(next[0]);
    if (fate == ClusterFate::joined) {
      VARVE_TRY(auto later, rows_.read_later_parts(cluster));
      append(std::move(later), next[0].received);
      return add_part(next[0]);
    }
    ++report_.clusters_rewritten;
    VARVE_TRY(auto rows, plan_.rows_that_stay(cluster));
    if (fate == ClusterFate::replaced) return write_pieces(next, rows, 1);
    append(take_received(next[0]), rows);
    if (bounds_.is_by_time) return write_runs(next[0], rows);
    return write_whole(next[0], rows, 0);
  }

  // What a cluster that keeps parts gets beside them.
  Status add_part(NextCluster& next) {
    keep_centroid(next.id, next.centroid);
    return write(next.id, next.centroid, take_received(next));
  }

  static std::vector<RowData> take_received(NextCluster& next) { return std::move(next.received); }

  static void append(std::vector<RowData> more, std::vector<RowData>& rows) {
    std::move(more.begin(), more.end(), std::back_inserter(rows));
  }

  // All rows of one cluster in the order of time, in as many as they take.
  Status write_runs(const NextCluster& cluster, std::span<const RowData> rows) {
    if (rows.size() <= bounds_.rows_max()) return write_whole(cluster, rows, kSplitDepthMax);
    ++report_.splits;
    const std::size_t runs = (rows.size() + bounds_.rows_target - 1) / bounds_.rows_target;
    for (std::size_t run = 0; run < runs; ++run) {
      const std::size_t begin = run * rows.size() / runs;
      const auto some = rows.subspan(begin, (run + 1) * rows.size() / runs - begin);
      const auto sample = ClusterRows::sample_of(some, kMeanRows);
      const auto mean = mean_of(rows_.values_of(sample), edit_.manifest.dim);
      const std::vector<float> centroid(mean.begin(), mean.end());
      const std::uint32_t id = edit_.manifest.next_cluster++;
      keep_centroid(id, centroid);
      VARVE_CHECK(write(id, centroid, some));
    }
    return {};
  }

  // All rows of one cluster, in as many as they take.
  Status write_whole(const NextCluster& cluster, std::span<const RowData> rows, unsigned depth) {
    if (rows.size() > bounds_.rows_max() && depth < kSplitDepthMax) {
      std::vector<NextCluster> trained = train(rows);
      // Rows that are all alike cannot be told apart.
      if (trained.size() > 1) return write_pieces(trained, rows, depth + 1);
    }
    // A centroid without rows would only be visited in vain.
    if (rows.empty()) return {};
    const NextCluster centred = centred_on(rows, cluster);
    keep_centroid(centred.id, centred.centroid);
    return write(centred.id, centred.centroid, rows);
  }

  std::vector<NextCluster> train(std::span<const RowData> rows) {
    const std::uint32_t dim = edit_.manifest.dim;
    const std::uint32_t pieces = bounds_.pieces_of(rows.size());
    const auto sample = ClusterRows::sample_of(rows, kSampleRows * pieces);
    const format::Centroids trained =
        train_centroids(rows_.values_of(sample), dim, pieces, edit_.manifest.next_cluster,
                        edit_.manifest.seed, *core_.env.compute);
    edit_.manifest.next_cluster += static_cast<std::uint32_t>(trained.clusters.size());
    std::vector<NextCluster> next;
    for (std::size_t i = 0; i < trained.clusters.size(); ++i) {
      const auto centroid = std::span(trained.values).subspan(i * dim, dim);
      next.push_back({trained.clusters[i], {centroid.begin(), centroid.end()}, {}});
    }
    return next;
  }

  // `rows` go to the nearest of the pieces, which may have received others.
  Status write_pieces(std::span<NextCluster> pieces, std::span<const RowData> rows,
                      unsigned depth) {
    std::vector<float> values;
    for (const NextCluster& piece : pieces) {
      values.insert(values.end(), piece.centroid.begin(), piece.centroid.end());
    }
    const ann::CentroidSet set(std::move(values), edit_.manifest.dim);
    const auto nearest = rows_.nearest_of(rows, set, *core_.env.compute);
    std::vector<std::vector<RowData>> of_pieces(pieces.size());
    for (std::size_t i = 0; i < rows.size(); ++i) of_pieces[nearest[i]].push_back(rows[i]);
    for (std::size_t piece = 0; piece < pieces.size(); ++piece) {
      std::vector<RowData>& members = of_pieces[piece];
      // All in one piece: splitting them again would come to the same.
      const bool may_split = members.size() < rows.size();
      append(take_received(pieces[piece]), members);
      VARVE_CHECK(write_whole(pieces[piece], members, may_split ? depth : kSplitDepthMax));
    }
    return {};
  }

  // The cluster, or one with a new id around the mean of its rows if they have moved away.
  NextCluster centred_on(std::span<const RowData> rows, const NextCluster& cluster) {
    const std::uint32_t dim = edit_.manifest.dim;
    const auto sample = ClusterRows::sample_of(rows, kMeanRows);
    const std::vector<float> values = rows_.values_of(sample);
    const std::vector<double> mean = mean_of(values, dim);
    double spread = 0, shift = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double offset = values[i] - mean[i % dim];
      spread += offset * offset;
    }
    for (std::uint32_t i = 0; i < dim; ++i) {
      const double offset = cluster.centroid[i] - mean[i];
      shift += offset * offset;
    }
    const bool is_off = shift * static_cast<double>(sample.size()) > kShiftMax * spread;
    if (!is_off) return {cluster.id, cluster.centroid, {}};
    return {edit_.manifest.next_cluster++, {mean.begin(), mean.end()}, {}};
  }

  void keep_centroid(std::uint32_t cluster, std::span<const float> centroid) {
    centroids_.clusters.push_back(cluster);
    centroids_.values.insert(centroids_.values.end(), centroid.begin(), centroid.end());
  }

  Status write(std::uint32_t cluster, std::span<const float> centroid,
               std::span<const RowData> rows) {
    if (rows.empty()) return {};
    report_.rows_rewritten += rows.size();
    auto type = rows.front().rows->rows.type;
    for (const RowData& row : rows) type = kernels::common_type(type, row.rows->rows.type);
    VARVE_CHECK(writer_.start_cluster(cluster, centroid, type));
    for (const RowData& row : rows) {
      VARVE_CHECK(
          writer_.add(row.rows->rows, row.row, row.key(), row.ids->lsn(row.row), row.text()));
    }
    return {};
  }

  void drop_rewritten_parts() {
    std::uint32_t number = 0;
    for (auto& group : edit_.manifest.groups) {
      std::erase_if(group.parts, [&](const format::PartRef&) { return !plan_.is_kept(number++); });
      if (group.parts.empty()) edit_.replaced.push_back(group.blob.name);
    }
    std::erase_if(edit_.manifest.groups,
                  [](const format::GroupRef& group) { return group.parts.empty(); });
  }

  Core& core_;
  const JobContext job_;
  const Generation& generation_;
  const ClusterBounds bounds_;
  ManifestEdit edit_;
  ClusterRows rows_;
  RewritePlan plan_;
  GroupWriter writer_;
  CompactReport& report_;
  format::Centroids centroids_;
};

}  // namespace

bool rewrite_is_due(const Generation& generation, RewriteExtent extent) {
  const ClusterBounds bounds = bounds_of(generation);
  const std::vector<bool> joins = joining_clusters(generation, bounds);
  if (std::find(joins.begin(), joins.end(), true) != joins.end()) return true;
  for (std::size_t i = 0; i < generation.cluster_ids().size(); ++i) {
    const ClusterShape shape = shape_of(generation, i);
    const bool is_due =
        extent == RewriteExtent::changed ? shape.is_changed() : bounds.wear_of(shape) != Wear::none;
    if (is_due) return true;
  }
  return false;
}

std::uint64_t rewrite_bytes_held(const Generation& generation, RewriteExtent extent) {
  const ClusterBounds bounds = bounds_of(generation);
  const std::vector<bool> joins = joining_clusters(generation, bounds);
  std::uint64_t of_small = 0, largest = 0;
  for (std::size_t i = 0; i < generation.cluster_ids().size(); ++i) {
    const ClusterShape shape = shape_of(generation, i);
    if (!joins[i]) {
      if (!shape.is_changed()) continue;
      if (extent == RewriteExtent::worn && bounds.wear_of(shape) != Wear::whole) continue;
    }
    std::uint64_t bytes = 0;
    for (const std::uint32_t part : generation.parts_of(i)) {
      for (const auto& section : generation.parts()[part].slot->ref.sections) {
        bytes += section.raw_bytes;
      }
    }
    largest = std::max(largest, bytes);
    if (joins[i] || bounds.is_too_small(shape)) of_small += bytes;
  }
  return of_small + largest;
}

Result<JobCommit> prepare_rewrite(Core& core, const JobContext& job, const View& view,
                                  RewriteExtent extent, CompactReport& report) {
  const CompactReport before = report;
  Rewrite rewrite(core, job, view, extent, report);
  auto manifest = rewrite.run();
  if (!manifest) {
    report = before;
    return tl::unexpected(manifest.error());
  }
  return JobCommit{std::move(*manifest), view.tail->begin(), view.generation->manifest_name(),
                   view.epoch, rewrite.take_replaced()};
}

}  // namespace varve::engine
