#include "engine/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "ann/kmeans.h"
#include "engine/build.h"
#include "engine/collect.h"
#include "engine/compact.h"
#include "engine/fold.h"
#include "engine/manifest_edit.h"
#include "engine/put_once.h"
#include "engine/section_reader.h"
#include "engine/spool.h"
#include "engine/validate.h"

namespace varve::engine {
namespace {

constexpr unsigned kCommitAttempts = 20;
constexpr std::uint64_t kReportEvery = 4096;
// The number of a row could be the key of another.
constexpr const char* kMixedKeys = "either every row has a key or none";

// How the imported rows meet what is there at the moment of the commit.
struct Merge {
  format::StaleRows stale;
  std::uint64_t replaced = 0;
};

class Import {
 public:
  Import(Core& core, const ImportOptions& options) : core_(core), options_(options) {}

  Result<ImportReport> run(RowSource& source) {
    VARVE_TRY(const View view, core_.reader.refresh());
    config_ = {view.generation->manifest().dim, view.generation->manifest().metric};
    double begin = now();
    VARVE_TRY(Spool spool, read_all(source));
    report_.read_seconds = now() - begin;
    if (spool.size() == 0) return report_;
    VARVE_CHECK(abort_abandoned_jobs(core_));
    OwnJobs::Running running(core_.own_jobs);
    VARVE_TRY(const format::Job job,
              register_job(core_.env, core_.names, core_.index, format::JobKind::import, 0));
    running.registered(job.id);
    auto committed = reserve_position(job.id);
    if (committed) {
      spool.set_first_lsn({mark_.epoch, mark_.seq, 0});
      committed = build_and_commit(job, spool);
    }
    if (!committed) discard_job(core_, job.id);
    VARVE_CHECK(committed);
    // Clusters that were trained for other or far fewer rows make every query slow. If it fails,
    // the next fold in the background or compact does it.
    static_cast<void>(keep_in_shape(core_, options_.progress));
    return report_;
  }

 private:
  double now() const {
    return std::chrono::duration<double>(core_.env.clock->now().time_since_epoch()).count();
  }

  Result<Spool> read_all(RowSource& source) {
    VARVE_TRY(Spool spool, Spool::create(core_.env.spool_dir, config_.dim, Lsn{}));
    VectorRecord record;
    bool keyed = false;
    while (true) {
      record.key.clear();
      record.metadata.clear();
      VARVE_TRY(const bool more, source.next(record));
      if (!more) break;
      if (spool.size() == 0) keyed = !record.key.empty();
      auto valid = validate_vector(record.vector, config_);
      if (valid && keyed == record.key.empty()) valid = fail(ErrorKind::invalid, kMixedKeys);
      if (valid && !record.key.empty()) valid = validate_key(record.key);
      if (valid) valid = validate_metadata(record.metadata);
      if (!valid) {
        return tl::unexpected(valid.error().with_context(fmt::format("row {}", spool.size())));
      }
      VARVE_CHECK(spool.add(record.vector, record.key, record.metadata, std::nullopt));
      if (options_.progress && spool.size() % kReportEvery == 0) {
        options_.progress({"read", spool.size(), source.size_hint(), "vectors"});
      }
    }
    VARVE_CHECK(spool.finish());
    return spool;
  }

  // The position of all rows in the order of writes. The job is listed before, so nobody else folds
  // what comes after it.
  Status reserve_position(std::uint64_t job) {
    VARVE_TRY(mark_, core_.writer.mark());
    const format::LogPosition end{mark_.epoch, mark_.seq + 1};
    base::Turn::Held held(core_.maintenance);
    for (unsigned attempt = 0;; ++attempt) {
      auto folded = fold_for_import(core_, job, end);
      if (folded || folded.error().kind != ErrorKind::conflict || attempt == kCommitAttempts) {
        return folded;
      }
      back_off(core_.env, attempt);
    }
  }

  Status build_and_commit(const format::Job& job, const Spool& spool) {
    VARVE_TRY(const View base, core_.reader.refresh());
    BuildOptions build_options;
    build_options.codes = code_config_of(base.generation->manifest(), nullptr);
    build_options.clusters = options_.clusters;
    build_options.order = base.generation->manifest().order;
    build_options.progress = options_.progress;
    if (!base.generation->cluster_ids().empty()) build_options.existing = base.generation.get();
    const JobContext context = core_.job(job.id);
    VARVE_TRY(Built built, build(context, spool, build_options));
    report_.vectors = built.rows;
    report_.duplicates = spool.size() - built.rows;
    report_.train_seconds = built.train_seconds;
    report_.assign_seconds = built.assign_seconds;
    report_.write_seconds = built.write_seconds;
    report_.bytes_written = built.written.bytes;
    base::Turn::Held held(core_.maintenance);
    for (unsigned attempt = 0;; ++attempt) {
      auto committed = commit(context, built);
      if (committed) {
        core_.work.rows_folded += built.rows;
        if (!built.probe_table.empty()) core_.work.fitted();
        return {};
      }
      const bool retry = committed.error().kind == ErrorKind::conflict;
      if (!retry || attempt == kCommitAttempts) return tl::unexpected(committed.error());
      VARVE_TRY(const StoredHead stored, read_head(core_.env, core_.names, core_.index));
      if (!is_listed(stored.head, job.id)) {
        return fail(ErrorKind::unavailable, "the import was aborted by another process",
                    "import again");
      }
      back_off(core_.env, attempt);
    }
  }

  Status commit(const JobContext& context, const Built& built) {
    VARVE_TRY(const std::uint64_t epoch, core_.writer.ensure_owner());
    VARVE_TRY(const View view, core_.reader.refresh());
    if (view.epoch != epoch) return fail(ErrorKind::conflict, "another writer took over");
    const Generation& generation = *view.generation;
    ManifestEdit edit{generation.manifest(), {}};
    VARVE_TRY(auto groups, place_groups(context, built, generation, edit));
    VARVE_TRY(Merge merge, merge_keys(built, generation));
    edit.manifest.groups.insert(edit.manifest.groups.end(), groups.begin(), groups.end());
    VARVE_CHECK(add_key_map(context, generation, merge.stale, built.written.locations, edit));
    VARVE_CHECK(set_stale(context, std::move(merge.stale), edit));
    JobCommit commit{std::move(edit.manifest), view.tail->begin(), generation.manifest_name(),
                     epoch, std::move(edit.replaced)};
    VARVE_TRY(const StoredHead head, commit_job(context, commit));
    report_.clusters = generation.cluster_ids().size() + built.centroids.clusters.size();
    report_.replaced = merge.replaced;
    // From here on the import has happened: a failure to read it back is the next reader's to meet.
    auto next = Generation::load(core_.env, core_.index, head.head, &generation);
    if (next) core_.reader.adopt(std::move(*next), head.head);
    return {};
  }

  // The groups with cluster ids of the current manifest; centroids that were trained here join it.
  Result<std::vector<format::GroupRef>> place_groups(const JobContext& context, const Built& built,
                                                     const Generation& generation,
                                                     ManifestEdit& edit) {
    std::vector<format::GroupRef> groups = built.written.groups;
    const auto& ids = generation.cluster_ids();
    if (built.centroids.clusters.empty()) {
      const std::unordered_set<std::uint32_t> known(ids.begin(), ids.end());
      for (const auto& group : groups) {
        for (const auto& part : group.parts) {
          if (known.contains(part.cluster)) continue;
          return fail(ErrorKind::unavailable, "the index was rebuilt while the rows were assigned",
                      "import again");
        }
      }
      return groups;
    }
    // Codes along other directions than those of the index would say something else.
    const auto mine = built.directions->values(), theirs = generation.directions()->values();
    if (!ids.empty() && !std::equal(mine.begin(), mine.end(), theirs.begin(), theirs.end())) {
      return fail(ErrorKind::unavailable, "the index got clusters while the rows were assigned",
                  "import again");
    }
    const std::uint32_t first = edit.manifest.next_cluster;
    format::Centroids all;
    all.dim = config_.dim;
    all.clusters = ids;
    const auto old = generation.centroids().values();
    all.values.assign(old.begin(), old.end());
    for (const std::uint32_t id : built.centroids.clusters) all.clusters.push_back(first + id);
    all.values.insert(all.values.end(), built.centroids.values.begin(),
                      built.centroids.values.end());
    for (auto& group : groups) {
      for (auto& part : group.parts) part.cluster += first;
    }
    edit.manifest.next_cluster += static_cast<std::uint32_t>(built.centroids.clusters.size());
    if (ids.empty() || edit.manifest.order == ClusterOrder::similarity) {
      edit.manifest.fitted_rows = built.rows;
      edit.manifest.probe_table = built.probe_table;
    } else {
      scale_probe_table(edit.manifest, ids.size(), all.clusters.size());
    }
    VARVE_CHECK(set_centroids(context, all, edit));
    if (ids.empty()) VARVE_CHECK(set_directions(context, *built.directions, edit));
    return groups;
  }

  // Of each key the newest LSN wins. Only older rows can be in the clusters, since nobody folds
  // past the reserved position while the import is listed; a newer one is kept all the same.
  Result<Merge> merge_keys(const Built& built, const Generation& generation) {
    Merge merge{generation.stale(), 0};
    if (generation.live_rows() == 0) return merge;
    VARVE_TRY(const auto keys, keys_of(built));
    std::vector<std::string_view> views(keys.begin(), keys.end());
    VARVE_TRY(const auto found, generation.find_in_store(core_.env, views));
    const Lsn imported{mark_.epoch, mark_.seq, 0};
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i]) continue;
      const PartSlot& slot = *generation.parts()[found[i]->part].slot;
      if (found[i]->lsn > imported) {
        const auto& mine = built.written.locations[i];
        merge.stale[mine.part].add(mine.row);
      } else {
        merge.stale[slot.ref.id].add(found[i]->row);
        ++merge.replaced;
      }
    }
    return merge;
  }

  // The key of each written location, from the ids that were written.
  Result<std::vector<std::string>> keys_of(const Built& built) {
    std::vector<std::string> keys;
    keys.reserve(built.written.locations.size());
    for (const auto& group : built.written.groups) {
      for (const auto& part : group.parts) {
        PartSlot slot(part, group.blob.name);
        VARVE_TRY(const auto section, read_section(core_.env, slot, format::Section::ids));
        VARVE_TRY(const auto ids, format::RowIds::decode(section, part.rows, slot.context()));
        for (std::size_t row = 0; row < ids.size(); ++row) keys.emplace_back(ids.key(row));
      }
    }
    return keys;
  }

  Core& core_;
  const ImportOptions& options_;
  IndexConfig config_;
  format::LogPosition mark_;
  ImportReport report_;
};

}  // namespace

Result<ImportReport> import_rows(Core& core, RowSource& source, const ImportOptions& options) {
  return Import(core, options).run(source);
}

}  // namespace varve::engine
