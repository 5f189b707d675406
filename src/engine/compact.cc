#include "engine/compact.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>

#include "ann/kmeans.h"
#include "engine/build.h"
#include "engine/cluster_shape.h"
#include "engine/collect.h"
#include "engine/fold.h"
#include "engine/manifest_edit.h"
#include "engine/put_once.h"
#include "engine/recall_fit.h"
#include "engine/rewrite.h"
#include "engine/spool.h"

namespace varve::engine {
namespace {

constexpr unsigned kCommitAttempts = 20;
// A rewrite that would hold more in memory gives way to a rebuild, which is spooled to disk.
constexpr std::uint64_t kRewriteBytesMax = 512ULL << 20;
// For queries that still read what a fold replaced.
constexpr std::chrono::minutes kGrace{10};

// Rows that lie in scattered clusters, plus stale rows.
std::uint64_t scattered_rows(const Generation& generation) {
  std::uint64_t rows = 0;
  for (std::size_t i = 0; i < generation.cluster_ids().size(); ++i) {
    const bool scattered = generation.is_scattered(i);
    for (const std::uint32_t number : generation.parts_of(i)) {
      const PartView& part = generation.parts()[number];
      rows += scattered ? part.slot->ref.rows : part.stale_count;
    }
  }
  return rows;
}

bool is_outgrown(const Generation& generation) {
  const std::uint64_t rows = generation.live_rows();
  if (generation.cluster_ids().empty() || rows == 0) return false;
  const std::size_t clusters = generation.cluster_ids().size();
  if (clusters == 1 && ann::cluster_count(rows, generation.manifest().dim) == 1) return false;
  // A single cluster is scanned whole and needs no table.
  if (clusters > 1 && generation.manifest().probe_table.empty()) return true;
  // Old runs stay as they are however many follow.
  if (generation.manifest().order == ClusterOrder::time) return false;
  const std::uint64_t fitted = std::max<std::uint64_t>(1, generation.manifest().fitted_rows);
  return rows > 2 * fitted || 2 * rows < fitted;
}

bool is_worn(const Generation& generation) {
  return 2 * scattered_rows(generation) > generation.live_rows() + generation.manifest().stale_rows;
}

// Live rows with their LSNs, one part at a time; cluster by cluster, which is in the order of time
// if the clusters are.
Result<Spool> spool_live_rows(const Core& core, const Generation& generation,
                              const ProgressSink& progress) {
  const std::uint32_t dim = generation.manifest().dim;
  VARVE_TRY(Spool spool, Spool::create(core.env.spool_dir, dim, Lsn{}));
  std::vector<float> values(dim);
  std::vector<std::uint32_t> parts;
  for (std::size_t cluster = 0; cluster < generation.cluster_ids().size(); ++cluster) {
    const auto more = generation.parts_of(cluster);
    parts.insert(parts.end(), more.begin(), more.end());
  }
  for (const std::uint32_t number : parts) {
    const PartView& part = generation.parts()[number];
    if (part.live_rows() == 0) continue;
    VARVE_TRY(const auto rows, generation.read_rows(core.env, number));
    VARVE_TRY(const auto ids, generation.read_ids(core.env, number));
    VARVE_TRY(const auto metadata, generation.read_metadata(core.env, number));
    for (std::uint32_t row = 0; row < part.slot->ref.rows; ++row) {
      if (part.is_stale(row)) continue;
      kernels::widen(rows->rows, row, values.data());
      VARVE_CHECK(spool.add(values, ids->key(row),
                            metadata == nullptr ? std::string_view{} : metadata->at(row),
                            ids->lsn(row)));
    }
    if (progress) progress({"read", spool.size(), generation.live_rows(), "vectors"});
  }
  VARVE_CHECK(spool.finish());
  return spool;
}

Result<JobCommit> prepare_rebuild(Core& core, const JobContext& job, const View& view,
                                  const ProgressSink& progress) {
  const Generation& generation = *view.generation;
  ManifestEdit edit{generation.manifest(), {}};
  format::Manifest& manifest = edit.manifest;
  VARVE_TRY(const Spool spool, spool_live_rows(core, generation, progress));
  for (const auto& group : manifest.groups) edit.replaced.push_back(group.blob.name);
  for (const auto& segment : manifest.key_map) edit.replaced.push_back(segment.name);
  manifest.groups.clear();
  manifest.key_map.clear();
  manifest.probe_table.clear();
  BuildOptions options;
  options.codes = code_config_of(manifest, nullptr);
  options.order = manifest.order;
  const std::size_t clusters = generation.cluster_ids().size();
  if (options.order == ClusterOrder::time && clusters > 1) {
    const std::uint64_t most = run_rows_max(spool.size(), clusters, manifest.dim);
    options.clusters = static_cast<std::uint32_t>((spool.size() + most - 1) / most);
  }
  options.first_cluster = manifest.next_cluster;
  options.progress = progress;
  Built built;
  if (spool.size() > 0) {
    VARVE_TRY(built, build(job, spool, options));
  }
  manifest.groups = std::move(built.written.groups);
  manifest.probe_table = std::move(built.probe_table);
  manifest.next_cluster += static_cast<std::uint32_t>(built.centroids.clusters.size());
  manifest.fitted_rows = built.rows;
  built.centroids.dim = manifest.dim;
  VARVE_CHECK(set_centroids(job, built.centroids, edit));
  VARVE_CHECK(set_directions(job, *built.directions, edit));
  VARVE_CHECK(add_key_map(job, generation, {}, std::move(built.written.locations), edit));
  VARVE_CHECK(set_stale(job, {}, edit));
  return JobCommit{std::move(manifest), view.tail->begin(), generation.manifest_name(), view.epoch,
                   std::move(edit.replaced)};
}

using Prepare = std::function<Result<JobCommit>(const JobContext&, const View&)>;

// Registers, prepares, commits, and shows the result to the readers of this process.
// `conflict`: start over on the newer state.
Status run_job(Core& core, const Prepare& prepare) {
  VARVE_TRY(const std::uint64_t epoch, core.writer.ensure_owner());
  VARVE_TRY(const View view, core.reader.refresh());
  if (view.epoch != epoch) return fail(ErrorKind::conflict, "another writer took over");
  OwnJobs::Running running(core.own_jobs);
  VARVE_TRY(const format::Job job,
            register_job(core.env, core.names, core.index, format::JobKind::compact, epoch));
  running.registered(job.id);
  auto commit = prepare(core.job(job.id), view);
  auto head = commit ? commit_job(core.job(job.id), *commit) : tl::unexpected(commit.error());
  if (!head) {
    discard_job(core, job.id);
    return tl::unexpected(head.error());
  }
  // Committed: if it cannot be loaded now, the next refresh does.
  auto generation = Generation::load(core.env, core.index, head->head, view.generation.get());
  if (generation) core.reader.adopt(std::move(*generation), head->head);
  return {};
}

// False: an import is running, so clusters must stay as they are.
Result<bool> run_until_committed(Core& core, const Prepare& prepare) {
  for (unsigned attempt = 0;; ++attempt) {
    VARVE_TRY(const StoredHead stored, read_head(core.env, core.names, core.index));
    if (listed_import(stored.head)) return false;
    auto done = run_job(core, prepare);
    if (done) return true;
    const bool retry = done.error().kind == ErrorKind::conflict;
    if (!retry || attempt == kCommitAttempts) return tl::unexpected(done.error());
    back_off(core.env, attempt);
  }
}

// False as of `rebuild_held`.
Result<bool> rewrite(Core& core, RewriteExtent extent, CompactReport& report) {
  VARVE_TRY(const View view, core.reader.current());
  if (!rewrite_is_due(*view.generation, extent)) return true;
  CompactReport counts;
  VARVE_TRY(const bool is_done,
            run_until_committed(core, [&](const JobContext& job, const View& now) {
              counts = {};
              return prepare_rewrite(core, job, now, extent, counts);
            }));
  if (!is_done) return false;
  core.work.rows_rewritten += counts.rows_rewritten;
  report.clusters_rewritten = counts.clusters_rewritten;
  report.rows_rewritten = counts.rows_rewritten;
  report.splits = counts.splits;
  report.merges = counts.merges;
  return true;
}

// Fits the recall table anew if so much has changed that the old one may not hold.
Status fit_anew(Core& core) {
  VARVE_TRY(const View view, core.reader.current());
  // A single cluster is scanned whole and needs no table.
  if (view.generation->cluster_ids().size() < 2) return {};
  if (!core.work.is_fit_due(view.generation->live_rows())) return {};
  VARVE_TRY(
      const bool is_done,
      run_until_committed(core, [&](const JobContext&, const View& now) -> Result<JobCommit> {
        format::Manifest manifest = now.generation->manifest();
        VARVE_TRY(manifest.probe_table, fit_recall_table(core.env, *now.generation));
        return JobCommit{
            std::move(manifest), now.tail->begin(), now.generation->manifest_name(), now.epoch, {}};
      }));
  if (is_done) core.work.fitted();
  return {};
}

Result<std::uint64_t> fold_until_done(Core& core) {
  for (unsigned attempt = 0;; ++attempt) {
    auto folded = fold_held(core);
    if (folded || folded.error().kind != ErrorKind::conflict || attempt == kCommitAttempts) {
      return folded;
    }
    back_off(core.env, attempt);
  }
}

}  // namespace

Result<bool> rebuild_held(Core& core, const ProgressSink& progress) {
  std::uint64_t rows = 0;
  VARVE_TRY(const bool is_done,
            run_until_committed(core, [&](const JobContext& job, const View& view) {
              rows = view.generation->live_rows();
              return prepare_rebuild(core, job, view, progress);
            }));
  if (!is_done) return false;
  core.work.rows_rebuilt += rows;
  core.work.fitted();
  return true;
}

Status after_fold(Core& core) {
  VARVE_CHECK(collect_retired(core, kGrace));
  return keep_in_shape(core, {});
}

Status keep_in_shape(Core& core, const ProgressSink& progress) {
  base::Turn::Held held(core.maintenance);
  VARVE_TRY(const View view, core.reader.current());
  const bool is_beyond_rewriting =
      rewrite_bytes_held(*view.generation, RewriteExtent::worn) > kRewriteBytesMax;
  if (is_outgrown(*view.generation) || is_beyond_rewriting) {
    VARVE_CHECK(rebuild_held(core, progress));
    return {};
  }
  CompactReport report;
  VARVE_CHECK(rewrite(core, RewriteExtent::worn, report));
  return fit_anew(core);
}

Result<CompactReport> compact(Core& core, const CompactOptions& options) {
  base::Turn::Held held(core.maintenance);
  CompactReport report;
  VARVE_CHECK(options.abort_jobs ? abort_other_jobs(core) : abort_abandoned_jobs(core));
  VARVE_TRY(report.folded_ops, fold_until_done(core));
  VARVE_TRY(const View view, core.reader.refresh());
  const Generation& generation = *view.generation;
  const bool is_beyond_rewriting =
      rewrite_bytes_held(generation, RewriteExtent::changed) > kRewriteBytesMax;
  if (is_outgrown(generation) || is_worn(generation) || is_beyond_rewriting) {
    VARVE_TRY(const bool rebuilt, rebuild_held(core, options.progress));
    if (rebuilt) report.clusters_rewritten = generation.cluster_ids().size();
    if (rebuilt) report.rows_rewritten = generation.live_rows();
  } else {
    VARVE_CHECK(rewrite(core, RewriteExtent::changed, report));
    VARVE_CHECK(fit_anew(core));
  }
  VARVE_TRY(const Collected collected, collect(core, options.grace));
  report.objects_deleted = collected.objects;
  report.bytes_deleted = collected.bytes;
  return report;
}

}  // namespace varve::engine
