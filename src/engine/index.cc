#include "engine/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "base/sha256.h"
#include "engine/answer_cache.h"
#include "engine/background.h"
#include "engine/collect.h"
#include "engine/compact.h"
#include "engine/core.h"
#include "engine/fold.h"
#include "engine/fsck.h"
#include "engine/import.h"
#include "engine/index_info.h"
#include "engine/outlier_scan.h"
#include "engine/put_once.h"
#include "engine/query_batch.h"
#include "engine/search.h"
#include "engine/section_cache.h"
#include "engine/section_views.h"
#include "engine/validate.h"
#include "engine/warm.h"

namespace varve::engine {
namespace {

// A reader whose objects were collected starts over; each time the version has moved.
constexpr unsigned kQueryAttempts = 5;
constexpr unsigned kFoldAttempts = 20;

// Sets what a query asked of the store, on this thread as all its requests are.
template <typename Query>
Status with_cost(const Env& env, QueryResult& result, const Query& query) {
  const store::Usage before = store::MeterStore::of_this_thread();
  VARVE_CHECK(query());
  if (env.meter == nullptr) return {};
  const store::Usage cost = store::MeterStore::of_this_thread() - before;
  result.performance.store_requests = cost.requests();
  result.performance.store_bytes = cost.bytes_in;
  return {};
}

// What search() says, or said on this very view.
Status answer(const Core& core, const View& view, std::span<const float> vector,
              const QueryOptions& options, QueryResult& result) {
  AnswerCache* const answers = core.env.answers.get();
  if (answers == nullptr) {
    return search(core.env, view, vector, options, result, &core.prefetch);
  }
  const auto begin = core.env.clock->now();
  const std::string question = question_of(core.index, view, vector, options);
  if (auto kept = answers->find(question)) {
    kept->performance.from_answer_cache = true;
    kept->performance.total_us =
        std::chrono::duration<double, std::micro>(core.env.clock->now() - begin).count();
    result = std::move(*kept);
    return {};
  }
  VARVE_CHECK(search(core.env, view, vector, options, result, &core.prefetch));
  answers->keep(question, result);
  return {};
}

class SnapshotOfView final : public Snapshot {
 public:
  SnapshotOfView(std::shared_ptr<Core> core, View view)
      : core_(std::move(core)), view_(std::move(view)) {}

  Result<QueryResult> query(std::span<const float> vector,
                            const QueryOptions& options) const override {
    QueryResult result;
    VARVE_CHECK(query_into(vector, options, result));
    return result;
  }
  Status query_into(std::span<const float> vector, const QueryOptions& options,
                    QueryResult& result) const override {
    return with_cost(core_->env, result,
                     [&] { return answer(*core_, view_, vector, options, result); });
  }
  Status query_batch(std::span<const float> vectors, const QueryOptions& options,
                     std::vector<QueryResult>& results) const override;
  Result<OutlierReport> outliers(const OutlierOptions& options) const override {
    return find_outliers(core_->env, view_, options);
  }
  Result<std::uint64_t> vectors() const override;
  std::uint64_t resident_bytes() const override {
    SectionCache& sections = *core_->env.sections;
    std::uint64_t bytes = view_.generation->resident_bytes();
    for (std::size_t number = 0; number < sections.layers().tier_count(); ++number) {
      const bool in_memory = sections.layers().tier(number).name().starts_with("ram");
      if (in_memory) bytes += sections.bytes_of(core_->index, number);
    }
    return bytes;
  }

 private:
  std::shared_ptr<Core> core_;
  View view_;
};

Status SnapshotOfView::query_batch(std::span<const float> vectors, const QueryOptions& options,
                                   std::vector<QueryResult>& results) const {
  VARVE_TRY(const std::size_t count, validate_batch(*view_.generation, vectors, options));
  results.resize(count);
  const std::uint32_t dim = view_.generation->manifest().dim;
  return ask_all(*core_->env.compute, count, [&](std::size_t i) {
    return query_into(vectors.subspan(i * dim, dim), options, results[i]);
  });
}

// Rows in clusters that the tail replaces or deletes, counted by looking each key up.
Result<std::uint64_t> live_vectors(const Env& env, const View& view) {
  std::uint64_t in_tail = 0;
  std::vector<std::string_view> keys;
  view.tail->for_each_newest(view.tail_count, [&](const Tail::Op& op) {
    keys.push_back(op.op.key);
    in_tail += op.op.kind == format::OpKind::upsert;
  });
  if (keys.empty()) return view.generation->live_rows();
  VARVE_TRY(const auto found, view.generation->find(env, keys));
  const auto replaced = static_cast<std::uint64_t>(
      std::count_if(found.begin(), found.end(), [](const auto& row) { return row.has_value(); }));
  return view.generation->live_rows() - replaced + in_tail;
}

Result<std::uint64_t> SnapshotOfView::vectors() const { return live_vectors(core_->env, view_); }

}  // namespace

class StoredIndex final : public Index {
 public:
  StoredIndex(std::shared_ptr<Core> core, IndexName name, IndexConfig config)
      : core_(std::move(core)), name_(std::move(name)), config_(config), background_(*core_) {}
  ~StoredIndex() override { close(); }

  const IndexName& name() const override { return name_; }
  const IndexConfig& config() const override { return config_; }

  Result<PutAck> put(std::span<const VectorRecord> records) override {
    if (records.empty()) return fail(ErrorKind::invalid, "the batch is empty");
    std::vector<format::LogOp> ops;
    ops.reserve(records.size());
    for (const VectorRecord& record : records) {
      VARVE_CHECK(validate_record(record, config_));
      ops.push_back({format::OpKind::upsert, record.key, record.vector, record.metadata});
    }
    return commit(ops);
  }

  Result<PutAck> remove(std::span<const std::string> keys) override {
    if (keys.empty()) return fail(ErrorKind::invalid, "the batch is empty");
    std::vector<format::LogOp> ops;
    for (const std::string& key : keys) {
      VARVE_CHECK(validate_key(key));
      ops.push_back({format::OpKind::remove, key, {}, {}});
    }
    return commit(ops);
  }

  Result<std::vector<std::optional<VectorRecord>>> get(std::span<const std::string> keys) override {
    for (const std::string& key : keys) VARVE_CHECK(validate_key(key));
    return on_current_view([&](const View& view) { return get_from(view, keys); });
  }

  Result<KeyPage> list(const std::string& start_after, std::uint32_t limit) override {
    if (limit == 0) return fail(ErrorKind::invalid, "limit is 0");
    return on_current_view([&](const View& view) { return list_from(view, start_after, limit); });
  }

  Result<QueryResult> query(std::span<const float> vector, const QueryOptions& options) override {
    const auto begin = core_->env.clock->now();
    double snapshot_us = 0;
    QueryResult result;
    const auto run = [&](const View& view) {
      snapshot_us =
          std::chrono::duration<double, std::micro>(core_->env.clock->now() - begin).count();
      return answer(*core_, view, vector, options, result);
    };
    VARVE_CHECK(with_cost(core_->env, result, [&] { return on_current_view(run); }));
    result.performance.snapshot_us = snapshot_us;
    result.performance.total_us += snapshot_us;
    return result;
  }

  Result<OutlierReport> outliers(const OutlierOptions& options) override {
    return on_current_view(
        [&](const View& view) { return find_outliers(core_->env, view, options); });
  }

  Result<std::shared_ptr<const Snapshot>> snapshot() override {
    VARVE_TRY(View view, core_->reader.refresh());
    background_.follow_pin(view);
    return std::shared_ptr<const Snapshot>(
        std::make_shared<SnapshotOfView>(core_, std::move(view)));
  }

  Result<ImportReport> import(RowSource& rows, const ImportOptions& options) override {
    VARVE_CHECK(check_open());
    return import_rows(*core_, rows, options);
  }

  Result<std::uint64_t> fold() override {
    VARVE_CHECK(check_open());
    for (unsigned attempt = 0;; ++attempt) {
      auto folded = engine::fold(*core_);
      // What fails here, the next fold or compact does.
      if (folded && *folded > 0) static_cast<void>(after_fold(*core_));
      if (folded || folded.error().kind != ErrorKind::conflict || attempt == kFoldAttempts) {
        return folded;
      }
      back_off(core_->env, attempt);
    }
  }

  Result<CompactReport> compact(const CompactOptions& options) override {
    VARVE_CHECK(check_open());
    return engine::compact(*core_, options);
  }
  Result<FsckReport> fsck(const ProgressSink& progress) override {
    return engine::fsck(*core_, progress);
  }

  Result<IndexInfo> info() override {
    VARVE_TRY(IndexInfo info, on_current_view([&](const View& view) -> Result<IndexInfo> {
                IndexInfo found = info_of(*core_, view);
                VARVE_TRY(found.vectors, live_vectors(core_->env, view));
                return found;
              }));
    info.name = name_;
    info.config = config_;
    info.background_error = background_.last_error();
    return info;
  }

  Result<std::uint64_t> warm(const ProgressSink& progress) override {
    VARVE_TRY(const PinReport report, pin_as({}, progress));
    return report.bytes;
  }
  Result<PinReport> pin(const PinOptions& options) override {
    if (options.ttl.count() < 0) {
      return fail(ErrorKind::invalid, "ttl is negative", "0 for no end");
    }
    const auto keep =
        options.codes_only ? Pinning::Keep::codes_in_memory : Pinning::Keep::in_memory;
    return pin_as({keep, end_of(options.ttl)}, options.progress);
  }
  Result<std::uint64_t> unpin() override {
    let_go_of_resident();
    return core_->env.sections->pins().unpin(core_->index);
  }
  Result<std::uint64_t> evict() override {
    let_go_of_resident();
    return core_->env.sections->forget(core_->index);
  }

  void close() override {
    is_closed_ = true;
    core_->writer.close();
    background_.close();
  }
  bool is_closed() const { return is_closed_; }

 private:
  Status check_open() const {
    if (!is_closed_) return {};
    return fail(ErrorKind::cancelled, "the index is closed");
  }

  Result<PutAck> commit(std::span<const format::LogOp> ops) {
    const auto lsn = core_->writer.commit(ops);
    // Also after a refusal: a full tail is one to fold.
    background_.consider();
    VARVE_CHECK(lsn);
    return PutAck{*lsn};
  }

  Result<PinReport> pin_as(const Pinning& pinning, const ProgressSink& progress) {
    return on_current_view(
        [&](const View& view) { return engine::warm(*core_, view, pinning, progress); });
  }

  // Snapshots that were taken before keep what they hold.
  void let_go_of_resident() {
    const auto view = core_->reader.current();
    if (view) view->generation->set_resident(nullptr);
  }

  // In milliseconds since 1970; 0: no end, and what is too far away for a number.
  std::int64_t end_of(std::chrono::seconds ttl) const {
    constexpr std::int64_t kSecondMs = 1000;
    const std::int64_t now_ms = core_->env.clock->wall_ms();
    const std::int64_t most = (std::numeric_limits<std::int64_t>::max() - now_ms) / kSecondMs;
    return ttl.count() == 0 || ttl.count() > most ? 0 : now_ms + kSecondMs * ttl.count();
  }

  template <typename Work>
  auto on_current_view(Work work) -> decltype(work(std::declval<const View&>())) {
    for (unsigned attempt = 1;; ++attempt) {
      VARVE_TRY(const View view, core_->reader.refresh());
      background_.follow_pin(view);
      auto result = work(view);
      if (result || result.error().kind != ErrorKind::not_found) return result;
      const Error missing = result.error();
      VARVE_CHECK(
          explain_missing(core_->env, core_->names, core_->index, view.head_version, missing));
      if (attempt == kQueryAttempts) {
        return fail(ErrorKind::unavailable,
                    missing.message + ": the index changes faster than it can be read");
      }
    }
  }

  Result<std::vector<std::optional<VectorRecord>>> get_from(const View& view,
                                                            std::span<const std::string> keys) {
    std::vector<std::optional<VectorRecord>> records(keys.size());
    std::vector<std::string_view> wanted;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto op = view.tail->newest(keys[i], view.tail_count);
      if (!op) {
        wanted.push_back(keys[i]);
        places.push_back(i);
      } else if (op->op.kind == format::OpKind::upsert) {
        records[i] = VectorRecord{
            keys[i], {op->op.vector.begin(), op->op.vector.end()}, std::string(op->op.metadata)};
      }
    }
    if (wanted.empty()) return records;
    const Generation& generation = *view.generation;
    VARVE_TRY(const auto found, generation.find(core_->env, wanted));
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i]) order.push_back(i);
    }
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return found[a]->part < found[b]->part; });
    std::vector<std::uint32_t> parts;
    for (const std::size_t i : order) {
      if (parts.empty() || parts.back() != found[i]->part) parts.push_back(found[i]->part);
    }
    auto next = order.begin();
    for (std::span<const std::uint32_t> rest = parts; !rest.empty();) {
      const auto group = rest.first(generation.count_within(
          rest, {format::Section::rows, format::Section::metadata}, core_->env.held_bytes_max));
      VARVE_TRY(const auto rows, generation.views<RowsView>(core_->env, group));
      VARVE_TRY(const auto metadata, generation.views<MetadataView>(core_->env, group));
      for (std::size_t place = 0; next != order.end() && found[*next]->part <= group.back();
           ++next) {
        while (group[place] != found[*next]->part) ++place;
        records[places[*next]] =
            record_of(wanted[*next], rows[place], metadata[place], found[*next]->row);
      }
      rest = rest.subspan(group.size());
    }
    return records;
  }

  VectorRecord record_of(std::string_view key, const RowsView& rows, const MetadataView& metadata,
                         std::uint32_t row) const {
    VectorRecord record{std::string(key), std::vector<float>(config_.dim),
                        std::string(metadata.at(row))};
    kernels::widen(rows.rows, row, record.vector.data());
    return record;
  }

  // Keys of clusters and tail, merged in byte order; the tail decides about its keys.
  Result<KeyPage> list_from(const View& view, const std::string& start_after, std::uint32_t limit) {
    const Generation& generation = *view.generation;
    std::set<std::string_view> added;
    view.tail->for_each_newest(view.tail_count, [&](const Tail::Op& op) {
      if (op.op.kind == format::OpKind::upsert && op.op.key > start_after) added.insert(op.op.key);
    });
    auto next = added.begin();
    KeyPage page;
    std::string after = start_after;
    bool rows_end = false;
    while (page.keys.size() < limit && !rows_end) {
      VARVE_TRY(const auto run, generation.key_run(core_->env, after));
      auto row = std::upper_bound(run->keys.begin(), run->keys.end(), after);
      while (page.keys.size() < limit && row != run->keys.end()) {
        if (next != added.end() && *next <= *row) {
          if (*next == *row) ++row;
          page.keys.emplace_back(*next++);
          continue;
        }
        if (!view.tail->newest(*row, view.tail_count)) page.keys.push_back(*row);
        ++row;
      }
      if (row != run->keys.end()) break;
      rows_end = run->is_last;
      if (!rows_end) after = run->keys.back();
    }
    while (page.keys.size() < limit && next != added.end()) page.keys.emplace_back(*next++);
    if (page.keys.size() == limit && (!rows_end || next != added.end())) {
      page.next = page.keys.back();
    }
    return page;
  }

  const std::shared_ptr<Core> core_;
  const IndexName name_;
  const IndexConfig config_;
  Background background_;
  std::atomic<bool> is_closed_ = false;
};

Status create_index_objects(const Env& env, const format::Uuid& uuid, const IndexName& name,
                            const IndexConfig& config) {
  const Names names(uuid);
  const JobContext context{env, names, uuid, 0};
  format::Manifest manifest;
  manifest.bucket = name.bucket;
  manifest.index = name.index;
  manifest.dim = config.dim;
  manifest.metric = config.metric;
  manifest.order = config.order;
  manifest.extra_words = extra_words_of(config);
  manifest.seed = env.random->next();
  const base::Nonce nonce = base::make_nonce(*env.random);
  format::Head head;
  head.manifest_name = names.manifest(0, nonce);
  const auto manifest_bytes = format::encode_manifest(manifest, uuid, head.manifest_name, nonce);
  VARVE_CHECK(write_blob(context, manifest_bytes, head.manifest_name, nonce));
  head.manifest_bytes = manifest_bytes.size();
  head.manifest_sha256 = base::sha256(manifest_bytes);
  head.nonce = base::make_nonce(*env.random);
  VARVE_CHECK(
      write_blob(context, format::encode_head(head, uuid, names.head()), names.head(), head.nonce));
  return {};
}

Result<std::shared_ptr<Index>> OpenIndexes::open(const Env& env, const format::Uuid& uuid,
                                                 const IndexName& name) {
  if (const auto index = find(uuid)) {
    VARVE_CHECK(index->snapshot());
    return index;
  }
  auto core = std::make_shared<Core>(env, uuid);
  VARVE_TRY(const View view, core->reader.refresh());
  const format::Manifest& manifest = view.generation->manifest();
  auto index = std::make_shared<StoredIndex>(std::move(core), name, config_of(manifest));
  return add(uuid, std::move(index));
}

std::shared_ptr<Index> OpenIndexes::find(const format::Uuid& uuid) {
  std::lock_guard lock(mutex_);
  const auto entry = indexes_.find(uuid.hex());
  auto index = entry == indexes_.end() ? nullptr : entry->second.lock();
  return index == nullptr || index->is_closed() ? nullptr : index;
}

std::shared_ptr<Index> OpenIndexes::add(const format::Uuid& uuid,
                                        std::shared_ptr<StoredIndex> index) {
  std::lock_guard lock(mutex_);
  std::erase_if(indexes_, [](const auto& entry) { return entry.second.expired(); });
  auto& entry = indexes_[uuid.hex()];
  // Another thread may have opened it meanwhile.
  const auto theirs = entry.lock();
  if (theirs != nullptr && !theirs->is_closed()) return theirs;
  entry = index;
  return index;
}

Status drop_index_objects(const Env& env, const format::Uuid& uuid) {
  const Names names(uuid);
  VARVE_TRY(const auto stored, env.store->get(names.head(), env.deadline()));
  // Lost: nobody can commit or take over any more, and there is no epoch to seal.
  if (!stored) return remove_all_but_fences(env, names, uuid);
  // From here on no writer of an older epoch can commit, and none can take over.
  auto deleted = update_head(env, names, uuid, [](format::Head& head) -> Status {
    ++head.epoch;
    head.state = format::IndexState::deleted;
    head.jobs.clear();
    return {};
  });
  VARVE_CHECK(deleted);
  VARVE_CHECK(seal_all(env, names, uuid, deleted->head));
  return remove_all_but_fences(env, names, uuid);
}

}  // namespace varve::engine
