#include "engine/fsck.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_set>

#include "ann/clustering.h"
#include "engine/put_once.h"
#include "engine/state_hash.h"
#include "format/envelope.h"
#include "kernels/distance.h"

namespace varve::engine {
namespace {

constexpr std::uint32_t kListPage = 1000;
constexpr unsigned kAttemptsMax = 6;

struct Row {
  std::string key;
  std::uint64_t part = 0;
  std::uint32_t row = 0;
};

// LSNs one after the other.
struct Span {
  std::optional<Lsn> first;
  Lsn last;
  bool rises = true;

  void add(const Lsn& lsn) {
    rises = rises && (!first || lsn > last);
    if (!first) first = lsn;
    last = lsn;
  }
};

class Check {
 public:
  Check(Core& core, const ProgressSink& progress) : core_(core), progress_(progress) {}

  // Something was found that a commit meanwhile explains as well: it counts if HEAD stood still.
  bool depends_on_head() const { return depends_on_head_; }

  Result<FsckReport> run() {
    VARVE_TRY(const StoredHead stored, read_head(core_.env, core_.names, core_.index));
    head_ = stored.head;
    check_head();
    reach(core_.names.head());
    auto generation = Generation::load(core_.env, core_.index, head_, nullptr);
    if (!generation) {
      note(generation.error());
      check_unloadable(generation.error());
      return finished();
    }
    generation_ = *generation;
    check_blobs();
    VARVE_CHECK(check_log());
    check_groups();
    check_keys();
    check_order();
    check_retired();
    VARVE_CHECK(check_listing());
    report_.state_hash = hash_.hex();
    return finished();
  }

 private:
  Result<FsckReport> finished() {
    if (store_error_) return tl::unexpected(*store_error_);
    return std::move(report_);
  }

  // Damage comes in thousands: of each kind the first ones say enough.
  void finding(std::string invariant, std::string object, std::string message) {
    constexpr std::size_t kFindingsMax = 20;
    const std::size_t count = ++findings_[invariant + object];
    if (count > kFindingsMax) return;
    if (count == kFindingsMax) message = "more findings of this kind are left out";
    report_.findings.push_back({std::move(invariant), std::move(object), std::move(message)});
  }

  // Collections remove what a newer HEAD does not reach; a store that does not answer says nothing
  // about what it holds.
  void note(const Error& error) {
    if (error.kind == ErrorKind::not_found) depends_on_head_ = true;
    const bool is_damage = error.kind == ErrorKind::not_found || error.kind == ErrorKind::corrupt;
    if (!is_damage && !store_error_) store_error_ = error;
  }

  void reach(const std::string& name) {
    reachable_.insert(name);
    ++report_.objects;
  }

  void check_head() {
    const std::string name = core_.names.head();
    if (head_.version > 0 && head_.parents.empty()) {
      finding("I4", name, "a HEAD after the first has no parents");
    }
    if (std::set(head_.parents.begin(), head_.parents.end()).size() != head_.parents.size()) {
      finding("I4", name, "a parent is listed twice");
    }
    if (head_.fold.epoch > head_.epoch) {
      finding("I4", name, "the fold pointer is ahead of the epoch");
    }
    for (const auto& job : head_.jobs) {
      if (job.id >= head_.next_job) finding("I12", name, "a job has an id not given out yet");
    }
  }

  // The whole object, or nullopt with a finding.
  std::optional<base::Bytes> verified(const format::BlobRef& ref, format::Kind kind) {
    auto object = core_.env.store->get(ref.name, core_.env.deadline());
    if (!object || !*object) {
      depends_on_head_ = depends_on_head_ || object;
      if (!object) note(object.error());
      finding("I5", ref.name, object ? "the object is missing" : object.error().message);
      return std::nullopt;
    }
    reach(ref.name);
    const auto envelope = format::decode_envelope((*object)->bytes, kind, core_.index, ref.name);
    if (!envelope) {
      finding("object", ref.name, envelope.error().message);
      return std::nullopt;
    }
    if ((*object)->bytes.size() != ref.bytes || envelope->body_hash != ref.body_hash) {
      finding("I5", ref.name, "the object is not the one that the manifest names");
      return std::nullopt;
    }
    return (*object)->bytes;
  }

  // The load stops at the first object that is damaged. Names those that it reads, or the manifest.
  void check_unloadable(const Error& error) {
    const std::size_t before = report_.findings.size();
    const auto object = core_.env.store->get(head_.manifest_name, core_.env.deadline());
    if (object && *object) {
      const auto manifest =
          format::decode_manifest((*object)->bytes, core_.index, head_.manifest_name);
      if (manifest && manifest->centroids) verified(*manifest->centroids, format::Kind::centroids);
      if (manifest && manifest->stale) verified(*manifest->stale, format::Kind::stale);
      if (manifest && manifest->directions) {
        verified(*manifest->directions, format::Kind::directions);
      }
    }
    if (report_.findings.size() == before) finding("I5", head_.manifest_name, error.message);
  }

  void check_blobs() {
    const format::Manifest& manifest = generation_->manifest();
    reach(head_.manifest_name);
    if (manifest.centroids) verified(*manifest.centroids, format::Kind::centroids);
    if (manifest.stale) verified(*manifest.stale, format::Kind::stale);
    if (manifest.directions) verified(*manifest.directions, format::Kind::directions);
    for (const auto& ref : manifest.key_map) {
      const auto bytes = verified(ref, format::Kind::key_map);
      if (!bytes) continue;
      auto segment = format::KeyMapSegment::decode(*bytes, core_.index, ref.name);
      if (!segment) {
        finding("object", ref.name, segment.error().message);
        continue;
      }
      const auto entries = segment->entries();
      locations_.insert(locations_.end(), entries.begin(), entries.end());
    }
    std::sort(locations_.begin(), locations_.end());
  }

  void check_groups() {
    std::uint32_t number = 0;
    std::uint64_t done = 0;
    for (const auto& group : generation_->manifest().groups) {
      const auto bytes = verified(group.blob, format::Kind::group);
      if (bytes) check_group(group, *bytes, number);
      number += static_cast<std::uint32_t>(group.parts.size());
      if (progress_) {
        progress_({"verify", ++done, generation_->manifest().groups.size(), "groups"});
      }
    }
    if (rows_.size() != generation_->live_rows()) {
      finding("I6", head_.manifest_name,
              fmt::format("{} live rows were found, the manifest counts {}", rows_.size(),
                          generation_->live_rows()));
    }
  }

  void check_group(const format::GroupRef& group, const base::Bytes& bytes,
                   std::uint32_t first_part) {
    const auto inside = format::decode_group(bytes, core_.index, group.blob.name);
    if (!inside) return finding("object", group.blob.name, inside.error().message);
    std::map<std::uint64_t, std::uint32_t> rows_inside;
    for (const auto& part : inside->parts) rows_inside[part.id] = part.rows;
    for (std::uint32_t i = 0; i < group.parts.size(); ++i) {
      const auto entry = rows_inside.find(group.parts[i].id);
      if (entry == rows_inside.end() || entry->second != group.parts[i].rows) {
        finding("I5", group.blob.name,
                fmt::format("part {} of the manifest is not in the object", group.parts[i].id));
        continue;
      }
      check_part(group, first_part + i);
    }
  }

  void check_part(const format::GroupRef& group, std::uint32_t number) {
    const PartView& part = generation_->parts()[number];
    const auto rows = generation_->read_rows(core_.env, number);
    const auto ids = generation_->read_ids(core_.env, number);
    const auto metadata = generation_->read_metadata(core_.env, number);
    for (const Error* error : {rows ? nullptr : &rows.error(), ids ? nullptr : &ids.error(),
                               metadata ? nullptr : &metadata.error()}) {
      if (error == nullptr) continue;
      note(*error);
      finding("object", group.blob.name, error->message);
    }
    if (!rows || !ids || !metadata) return;
    check_radius(group, part, (*rows)->rows);
    std::vector<float> values(generation_->manifest().dim);
    for (std::uint32_t row = 0; row < part.slot->ref.rows; ++row) {
      const Lsn& lsn = (*ids)->lsn(row);
      if (format::LogPosition{lsn.epoch, lsn.seq} >= head_.fold) {
        finding("I7", group.blob.name,
                fmt::format("part {} row {}: lsn {} is not before the fold pointer",
                            part.slot->ref.id, row, to_string(lsn)));
      }
      if (part.is_stale(row)) continue;
      spans_[number].add(lsn);
      kernels::widen((*rows)->rows, row, values.data());
      const std::string_view text =
          *metadata == nullptr ? std::string_view{} : (*metadata)->at(row);
      rows_.push_back({std::string((*ids)->key(row)), part.slot->ref.id, row});
      // What the tail replaces is not part of the state.
      if (tail_->newest(rows_.back().key, tail_->count())) continue;
      hash_.add(rows_.back().key, values, text);
      ++report_.live_keys;
    }
  }

  // `bounded` answers rely on it.
  void check_radius(const format::GroupRef& group, const PartView& part,
                    const kernels::Rows& rows) {
    const float radius = part.slot->ref.radius;
    if (radius == 0) return;
    const auto& ids = generation_->cluster_ids();
    const auto id = std::find(ids.begin(), ids.end(), part.slot->ref.cluster);
    const auto centroid =
        generation_->centroids().centroid(static_cast<std::size_t>(id - ids.begin()));
    std::vector<float> values(rows.dim);
    for (std::size_t row = 0; row < rows.count; ++row) {
      ann::widen_for_ranking(rows.sub(row, 1), generation_->manifest().metric, values.data());
      const float squared = kernels::squared_l2_one(values.data(), centroid.data(), rows.dim);
      if (std::sqrt(squared) <= radius) continue;
      finding("object", group.blob.name,
              fmt::format("part {} row {}: lies beyond the radius", part.slot->ref.id, row));
    }
  }

  // Read cluster by cluster, rows of an index in the order of time have rising LSNs.
  void check_order() {
    if (generation_->manifest().order != ClusterOrder::time) return;
    Span all;
    for (std::size_t cluster = 0; cluster < generation_->cluster_ids().size(); ++cluster) {
      for (const std::uint32_t number : generation_->parts_of(cluster)) {
        const auto span = spans_.find(number);
        if (span == spans_.end()) continue;
        all.add(*span->second.first);
        if (!all.rises || !span->second.rises) {
          return finding("I20", head_.manifest_name,
                         fmt::format("part {}: rows are not in the order of time",
                                     generation_->parts()[number].slot->ref.id));
        }
        all.last = span->second.last;
      }
    }
  }

  void check_keys() {
    std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) { return a.key < b.key; });
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const Row& row = rows_[i];
      if (i > 0 && rows_[i - 1].key == row.key) {
        finding("I6", head_.manifest_name, fmt::format("key '{}' has two live rows", row.key));
      }
      const format::KeyLocation location{format::key_hash(row.key), row.part, row.row};
      if (!std::binary_search(locations_.begin(), locations_.end(), location)) {
        finding("I6", head_.manifest_name, fmt::format("key '{}' is not in the key map", row.key));
      }
    }
  }

  void read_log_in_order() {
    tail_ = std::make_unique<Tail>(head_.fold);
    base::Sha256 previous{};
    // The batch before the fold pointer may be gone, so the first link of its epoch is unknown.
    bool previous_known = head_.fold.seq == 0;
    while (true) {
      const format::LogPosition position = tail_->next();
      const std::string name = core_.names.log(position);
      auto entry =
          read_log(core_.env, core_.names, core_.index, position, generation_->manifest().dim);
      if (!entry) {
        log_is_damaged_ = true;
        note(entry.error());
        return finding("object", name, entry.error().message);
      }
      if (!*entry) return;
      reach(name);
      if (std::holds_alternative<format::Seal>(**entry)) {
        seals_.emplace(position.epoch, position.seq);
        tail_->enter_next_epoch();
        previous = {};
        previous_known = true;
        continue;
      }
      auto batch =
          std::make_shared<const format::LogBatch>(std::get<format::LogBatch>(std::move(**entry)));
      if (previous_known && batch->previous != previous) {
        finding("I2", name, "the hash chain of the epoch is broken");
      }
      const auto object = core_.env.store->get(name, core_.env.deadline());
      previous_known = object && *object;
      if (previous_known) previous = base::sha256((*object)->bytes);
      report_.log_ops += batch->ops.size();
      tail_->append(std::move(batch));
    }
  }

  Status check_log() {
    read_log_in_order();
    // A fold removes slots that were not read yet: the end that was found may be none.
    VARVE_TRY(const StoredHead now, read_head(core_.env, core_.names, core_.index));
    if (now.head.fold != head_.fold) depends_on_head_ = true;
    tail_->for_each_newest(tail_->count(), [&](const Tail::Op& op) {
      if (op.op.kind != format::OpKind::upsert) return;
      hash_.add(op.op.key, op.op.vector, op.op.metadata);
      ++report_.live_keys;
    });
    return {};
  }

  void check_retired() {
    for (const auto& retired : head_.retired) {
      const auto object = core_.env.store->get(retired.list_name, core_.env.deadline());
      if (!object || !*object) continue;  // a collection was interrupted after removing it
      reach(retired.list_name);
      const auto names = format::decode_retired((*object)->bytes, core_.index, retired.list_name);
      if (!names) {
        finding("object", retired.list_name, names.error().message);
        continue;
      }
      for (const auto& name : *names) {
        if (reachable_.contains(name)) {
          finding("I12", name, "the object is listed for removal and still used");
        }
        expected_.insert(name);
      }
    }
  }

  // Slots in the store against what was read in order: no hole, nothing behind a seal.
  Status check_listing() {
    std::string after;
    while (true) {
      VARVE_TRY(const auto page,
                core_.env.store->list(core_.names.root(), after, kListPage, core_.env.deadline()));
      for (const auto& entry : page.entries) {
        if (reachable_.contains(entry.key)) report_.bytes += entry.size;
        VARVE_CHECK(check_entry(entry.key));
      }
      if (!page.more || page.entries.empty()) return {};
      after = page.entries.back().key;
    }
  }

  Status check_entry(const std::string& key) {
    if (reachable_.contains(key)) return {};
    const auto position = core_.names.position_of_log(key);
    if (!position) {
      const auto job = core_.names.job_of_blob(key);
      const bool garbage = !job || (!is_listed(head_, *job) && *job < head_.next_job);
      if (garbage && !expected_.contains(key)) ++report_.orphans;
      return check_unreferenced(key);
    }
    VARVE_TRY(const auto entry, read_log_for_check(*position));
    if (!entry) return {};
    const bool seal = std::holds_alternative<format::Seal>(*entry);
    if (*position < head_.fold) {
      // Anything may stand in a slot that was folded and removed: a batch whose first attempt
      // landed again, or the seal of a stalled take-over that found the slot empty.
      if (!seal) ++report_.orphans;
      return {};
    }
    const auto sealed = seals_.find(position->epoch);
    if (sealed != seals_.end() && position->seq > sealed->second) {
      finding("I19", key, "a log object stands behind the seal of its epoch");
      return {};
    }
    // Behind a slot that cannot be read nothing is known.
    if (log_is_damaged_) return {};
    VARVE_TRY(const bool is_written, is_written_up_to(*position));
    if (!is_written) {
      depends_on_head_ = true;  // a fold removes slots in front of this one
      finding("I2", key, "a log object stands behind a hole");
    }
    return {};
  }

  // The log grows while it is checked: reads on where the last look ended. False: a slot before
  // `position` is empty, after `position` was seen to be filled.
  Result<bool> is_written_up_to(format::LogPosition position) {
    if (!end_of_log_) end_of_log_ = tail_->next();
    // Ends: each turn passes one slot that is filled.
    while (*end_of_log_ <= position) {
      VARVE_TRY(const auto entry, read_log_for_check(*end_of_log_));
      if (!entry) return false;
      const bool seal = std::holds_alternative<format::Seal>(*entry);
      if (seal) seals_.emplace(end_of_log_->epoch, end_of_log_->seq);
      end_of_log_ = seal ? format::LogPosition{end_of_log_->epoch + 1, 0}
                         : format::LogPosition{end_of_log_->epoch, end_of_log_->seq + 1};
    }
    return true;
  }

  // Nobody reads it, but a store that damages one object damages others.
  Status check_unreferenced(const std::string& key) {
    VARVE_TRY(const auto object, core_.env.store->get(key, core_.env.deadline()));
    if (!object) return {};  // a collection removed it meanwhile
    const auto envelope = format::decode_envelope(object->bytes, core_.index, key);
    if (!envelope) finding("object", key, envelope.error().message);
    return {};
  }

  Result<std::optional<format::LogEntry>> read_log_for_check(format::LogPosition position) {
    auto entry =
        read_log(core_.env, core_.names, core_.index, position, generation_->manifest().dim);
    if (entry) return entry;
    if (entry.error().kind != ErrorKind::corrupt) return tl::unexpected(entry.error());
    finding("object", core_.names.log(position), entry.error().message);
    return std::nullopt;
  }

  Core& core_;
  const ProgressSink& progress_;
  format::Head head_;
  std::shared_ptr<Generation> generation_;
  std::unique_ptr<Tail> tail_;
  std::optional<format::LogPosition> end_of_log_;  // as far as is_written_up_to() has read
  std::map<std::uint64_t, std::uint64_t> seals_;   // epoch -> slot of the seal that ends it
  std::unordered_set<std::string> reachable_;
  std::unordered_set<std::string> expected_;  // on lists of what is to be removed
  std::vector<format::KeyLocation> locations_;
  std::vector<Row> rows_;
  std::map<std::uint32_t, Span> spans_;  // of the live rows of each part, by its number
  StateHash hash_;
  std::map<std::string, std::size_t> findings_;
  bool depends_on_head_ = false;
  bool log_is_damaged_ = false;
  std::optional<Error> store_error_;
  FsckReport report_;
};

}  // namespace

namespace {

FsckReport without_head(const Core& core, const Error& error) {
  FsckReport report;
  report.findings.push_back({"I5", core.names.head(), error.message});
  return report;
}

}  // namespace

Result<FsckReport> fsck(Core& core, const ProgressSink& progress) {
  for (unsigned attempt = 1;; ++attempt) {
    const auto before = read_head(core.env, core.names, core.index);
    if (!before && before.error().kind == ErrorKind::corrupt) {
      return without_head(core, before.error());
    }
    VARVE_CHECK(before);
    Check check(core, progress);
    VARVE_TRY(auto report, check.run());
    // What does not depend on HEAD is true whatever was committed meanwhile.
    if (!check.depends_on_head()) return report;
    VARVE_TRY(const StoredHead after, read_head(core.env, core.names, core.index));
    if (before->head.version == after.head.version) return report;
    if (attempt == kAttemptsMax) {
      return fail(ErrorKind::unavailable, "the index changes faster than it can be checked",
                  "try again while fewer folds and compactions run");
    }
    back_off(core.env, attempt);
  }
}

}  // namespace varve::engine
