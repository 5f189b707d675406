#include "engine/fold.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "ann/kmeans.h"
#include "engine/cluster_shape.h"
#include "engine/collect.h"
#include "engine/manifest_edit.h"
#include "engine/train.h"

namespace varve::engine {
namespace {

// What a tail says, one operation a key.
struct NetOps {
  std::vector<Tail::Op> upserts;
  std::vector<std::string_view> keys;  // of all, upserts and deletes
  std::vector<Lsn> lsns;               // beside keys
};

NetOps net_ops(const View& view) {
  NetOps net;
  view.tail->for_each_newest(view.tail_count, [&](const Tail::Op& op) {
    net.keys.push_back(op.op.key);
    net.lsns.push_back(op.lsn);
    if (op.op.kind == format::OpKind::upsert) net.upserts.push_back(op);
  });
  return net;
}

// Rows in clusters that these operations replace. The newest LSN of a key wins, whatever the order
// in which they were found; log entries behind the fold pointer are newer than every folded row.
Result<format::StaleRows> mark_replaced(const Core& core, const Generation& generation,
                                        const NetOps& net) {
  format::StaleRows stale = generation.stale();
  VARVE_TRY(const auto locations, generation.find_in_store(core.env, net.keys));
  for (std::size_t i = 0; i < locations.size(); ++i) {
    if (!locations[i]) continue;
    const PartView& part = generation.parts()[locations[i]->part];
    if (locations[i]->lsn >= net.lsns[i]) {
      return fail(ErrorKind::corrupt, part.slot->context() + ": row " +
                                          std::to_string(locations[i]->row) +
                                          " is newer than the log behind the fold pointer");
    }
    stale[part.slot->ref.id].add(locations[i]->row);
  }
  return stale;
}

std::vector<float> vectors_for_clusters(const NetOps& net, std::uint32_t dim, Metric metric) {
  std::vector<float> values;
  values.reserve(net.upserts.size() * dim);
  for (const auto& op : net.upserts) {
    values.insert(values.end(), op.op.vector.begin(), op.op.vector.end());
    if (metric == Metric::cosine) normalise(values.data() + values.size() - dim, dim);
  }
  return values;
}

// Upserts as new parts, in the order of the clusters.
Status write_upserts(const NetOps& net, std::span<const std::uint32_t> nearest,
                     std::span<const std::uint32_t> cluster_ids, const ann::CentroidSet& centroids,
                     GroupWriter& writer) {
  std::vector<std::uint32_t> order(net.upserts.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return nearest[a] < nearest[b]; });
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    auto type = kernels::RowType::u8;
    while (end < order.size() && nearest[order[end]] == nearest[order[begin]]) {
      const auto& vector = net.upserts[order[end]].op.vector;
      const auto narrow = kernels::narrowest_type(vector);
      type = end == begin ? narrow : kernels::common_type(type, narrow);
      ++end;
    }
    const std::uint32_t centroid = nearest[order[begin]];
    VARVE_CHECK(writer.start_cluster(cluster_ids[centroid], centroids.centroid(centroid), type));
    for (; begin < end; ++begin) {
      const Tail::Op& op = net.upserts[order[begin]];
      const auto row = kernels::rows_of(op.op.vector.data(), 1, centroids.dim());
      VARVE_CHECK(writer.add(row, 0, op.op.key, op.lsn, op.op.metadata));
    }
  }
  return {};
}

// The clusters that rows of a fold go to.
struct Targets {
  std::vector<std::uint32_t> cluster_of;  // index into `ids`, of each row
  std::vector<std::uint32_t> ids;
  ann::CentroidSet centroids;
};

// Puts new clusters behind those that there are; `rows` of the index train the first ones.
Status add_centroids(const JobContext& job, const format::Centroids& trained, std::size_t rows,
                     Targets& targets, ManifestEdit& edit) {
  format::Centroids all;
  all.dim = trained.dim;
  const auto old = targets.centroids.values();
  all.values.assign(old.begin(), old.end());
  all.values.insert(all.values.end(), trained.values.begin(), trained.values.end());
  const std::size_t before = targets.ids.size();
  targets.ids.insert(targets.ids.end(), trained.clusters.begin(), trained.clusters.end());
  all.clusters = targets.ids;
  VARVE_CHECK(set_centroids(job, all, edit));
  edit.manifest.next_cluster += static_cast<std::uint32_t>(trained.clusters.size());
  if (before == 0) edit.manifest.fitted_rows = rows;
  scale_probe_table(edit.manifest, before, targets.ids.size());
  targets.centroids = ann::CentroidSet(std::move(all.values), trained.dim);
  return {};
}

Status choose_nearest(const Core& core, const JobContext& job, std::span<const float> values,
                      Targets& targets, ManifestEdit& edit) {
  const std::uint32_t dim = edit.manifest.dim;
  const std::size_t rows = values.size() / dim;
  if (targets.ids.empty()) {
    const auto trained =
        train_centroids(values, dim, ann::cluster_count(rows, dim), edit.manifest.next_cluster,
                        edit.manifest.seed, *core.env.compute);
    VARVE_CHECK(add_centroids(job, trained, rows, targets, edit));
  }
  targets.cluster_of.resize(rows);
  targets.centroids.assign({values.data(), rows, dim}, targets.cluster_of, {}, *core.env.compute);
  return {};
}

// The newest cluster is filled, then others begin; those of an index without any are all equal.
Status choose_runs(const JobContext& job, const Generation& generation,
                   std::span<const float> values, Targets& targets, ManifestEdit& edit) {
  const std::uint32_t dim = edit.manifest.dim;
  const std::size_t rows = values.size() / dim;
  std::size_t filled = 0;
  std::size_t run_rows = 0;
  if (targets.ids.empty()) {
    const std::size_t runs = ann::cluster_count(rows, dim);
    run_rows = (rows + runs - 1) / runs;
  } else {
    run_rows = run_rows_max(generation.live_rows() + rows, targets.ids.size(), dim);
    const std::uint64_t newest = shape_of(generation, targets.ids.size() - 1).live;
    filled = std::min<std::uint64_t>(rows, run_rows - std::min<std::uint64_t>(run_rows, newest));
    targets.cluster_of.assign(filled, static_cast<std::uint32_t>(targets.ids.size() - 1));
  }
  format::Centroids runs;
  runs.dim = dim;
  for (std::size_t begin = filled; begin < rows; begin += run_rows) {
    const std::size_t count = std::min(run_rows, rows - begin);
    const auto mean = mean_of(values.subspan(begin * dim, count * dim), dim);
    runs.values.insert(runs.values.end(), mean.begin(), mean.end());
    const auto number = static_cast<std::uint32_t>(runs.clusters.size());
    runs.clusters.push_back(edit.manifest.next_cluster + number);
    targets.cluster_of.insert(targets.cluster_of.end(), count,
                              static_cast<std::uint32_t>(targets.ids.size()) + number);
  }
  return runs.clusters.empty() ? Status{} : add_centroids(job, runs, rows, targets, edit);
}

// `rows`: how many were written into clusters.
Result<JobCommit> prepare_fold(const Core& core, const JobContext& job, const View& view,
                               std::uint64_t& rows) {
  const Generation& generation = *view.generation;
  const NetOps net = net_ops(view);
  rows = net.upserts.size();
  ManifestEdit edit{generation.manifest(), {}};
  const std::uint32_t dim = edit.manifest.dim;
  VARVE_TRY(auto stale, mark_replaced(core, generation, net));
  std::optional<GroupWriter> writer;
  if (!net.upserts.empty()) {
    const auto values = vectors_for_clusters(net, dim, edit.manifest.metric);
    Targets targets{{}, generation.cluster_ids(), generation.centroids()};
    VARVE_CHECK(edit.manifest.order == ClusterOrder::time
                    ? choose_runs(job, generation, values, targets, edit)
                    : choose_nearest(core, job, values, targets, edit));
    auto directions = generation.directions();
    if (generation.cluster_ids().empty()) {
      directions = train_directions(values, targets.centroids,
                                    code_config_of(edit.manifest, nullptr), *core.env.compute);
      VARVE_CHECK(set_directions(job, *directions, edit));
    }
    writer.emplace(job, ann::CodeEncoder(code_config_of(edit.manifest, directions)));
    VARVE_CHECK(write_upserts(net, targets.cluster_of, targets.ids, targets.centroids, *writer));
  }
  WrittenGroups written;
  if (writer) {
    VARVE_TRY(written, writer->finish());
  }
  edit.manifest.groups.insert(edit.manifest.groups.end(), written.groups.begin(),
                              written.groups.end());
  VARVE_CHECK(add_key_map(job, generation, stale, std::move(written.locations), edit));
  VARVE_CHECK(set_stale(job, std::move(stale), edit));
  return JobCommit{std::move(edit.manifest), view.tail->end_of(view.tail_count),
                   generation.manifest_name(), view.epoch, std::move(edit.replaced)};
}

// Folded batches are never read again; seals stay for ever, they fence stalled writers.
void remove_folded(const Core& core, const View& view, format::LogPosition fold) {
  std::vector<std::string> keys;
  for (const auto& position : view.tail->positions_before(fold)) {
    keys.push_back(core.names.log(position));
  }
  // What stays behind is removed by the next collection.
  static_cast<void>(core.env.store->remove(keys, core.env.deadline()));
}

}  // namespace

Result<std::uint64_t> fold(Core& core) {
  base::Turn::Held held(core.maintenance);
  return fold_held(core);
}

namespace {

// What part of the tail is folded, and where the fold pointer goes.
struct FoldRange {
  View view;
  format::LogPosition end;
  std::uint64_t import_job = 0;
};

Status run_fold(Core& core, const FoldRange& range) {
  const View& view = range.view;
  OwnJobs::Running running(core.own_jobs);
  VARVE_TRY(const format::Job job,
            register_job(core.env, core.names, core.index, format::JobKind::fold, view.epoch));
  running.registered(job.id);
  const JobContext context = core.job(job.id);
  std::uint64_t rows = 0;
  auto commit = prepare_fold(core, context, view, rows);
  if (commit) {
    commit->fold = range.end;
    commit->folds = true;
    commit->for_import = range.import_job;
  }
  auto head = commit ? commit_job(context, *commit) : tl::unexpected(commit.error());
  if (!head) {
    discard_job(core, job.id);
    return tl::unexpected(head.error());
  }
  core.work.rows_folded += rows;
  // Committed: if it cannot be loaded now, the next refresh does.
  auto generation = Generation::load(core.env, core.index, head->head, view.generation.get());
  if (generation) core.reader.adopt(std::move(*generation), head->head);
  remove_folded(core, view, range.end);
  return {};
}

// A view of the newest state while this process owns the index.
Result<View> owned_view(Core& core) {
  VARVE_TRY(const std::uint64_t epoch, core.writer.ensure_owner());
  VARVE_TRY(View view, core.reader.refresh());
  if (view.epoch != epoch) return fail(ErrorKind::conflict, "another writer took over");
  return view;
}

}  // namespace

Result<std::uint64_t> fold_held(Core& core) {
  VARVE_TRY(const StoredHead stored, read_head(core.env, core.names, core.index));
  if (listed_import(stored.head)) {
    VARVE_CHECK(abort_abandoned_jobs(core));
    VARVE_TRY(const StoredHead now, read_head(core.env, core.names, core.index));
    if (listed_import(now.head)) return 0;
  }
  // Taking over costs a seal that stays: not for nothing.
  VARVE_TRY(const View seen, core.reader.refresh());
  if (seen.tail->end_of(seen.tail_count) == seen.tail->begin()) return 0;
  VARVE_TRY(const View view, owned_view(core));
  const format::LogPosition end = view.tail->end_of(view.tail_count);
  // A marker has no operations, but the fold pointer has to pass it too.
  if (end == view.tail->begin()) return 0;
  VARVE_CHECK(run_fold(core, {view, end, 0}));
  return view.tail_count;
}

Status fold_for_import(Core& core, std::uint64_t import_job, format::LogPosition end) {
  VARVE_TRY(View view, owned_view(core));
  if (view.tail->begin() >= end) return {};
  view.tail_count = view.tail->count_before(end);
  return run_fold(core, {view, end, import_job});
}

}  // namespace varve::engine
