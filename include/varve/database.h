// The library: a database is a store and the indexes in it.
//
//   auto db = varve::Database::open("./varve-data", {});
//   auto index = (*db)->create_index({"demo", "docs"}, {.dim = 384, .metric =
//   varve::Metric::cosine});
//   (*index)->put(records);
//   auto answer = (*index)->query(vector, {.k = 5});
//
// Thread-safe: any method, any thread. Calls block. A process that is killed at any moment loses
// nothing that was acknowledged; several processes may open one store at the same time.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "varve/result.h"
#include "varve/types.h"

namespace varve {

// What is kept of the store, from the dearest tier to the cheapest. Sections of clusters go through
// it; centroids, key maps and the log are kept beside it.
struct CacheOptions {
  // Memory for sections as they are used, bookkeeping included; 0: a quarter of the memory of the
  // machine or of the control group, whichever is less, at most 4 GiB. For none give 1.
  std::uint64_t ram_bytes_max = 0;
  // Memory for sections that had to leave it, losslessly compressed; 0: no such tier.
  std::uint64_t compressed_bytes_max = 0;
  // A folder for sections, which outlive the process there; empty: no such tier. One process at a
  // time.
  std::string disk_dir;
  std::uint64_t disk_bytes_max = 0;  // 0: no limit
  // redis://[user:password@]host:port/db or unix:///path, shared by processes; empty: no such tier.
  std::string redis_url;
  // Which sections stay in memory: a name that cache::make_policy knows. The disk is always "fifo",
  // which keeps what was hit.
  std::string policy = "s3-fifo";
  // Memory for answers, so that a query that is asked again costs a look at HEAD and no search; 0:
  // none are kept. A write to the index makes its answers worthless.
  std::uint64_t answers_bytes_max = 0;
  // A section that was found in a cheaper tier so often moves to memory.
  std::uint32_t promote_after = 2;
};

struct DatabaseOptions {
  CacheOptions cache;
  // Threads for training, assignment and exact scans; 0: one per core.
  std::uint32_t compute_threads = 0;
  // Longest that one request to the store may take. A call makes several, some more than once, and
  // may wait for those of other threads, so it can take a few times as long.
  std::chrono::milliseconds timeout{60'000};
  // Directory for the spool of `import`; empty: $TMPDIR, else /tmp.
  std::string spool_dir;
  // Fold the log into clusters in the background when the tail reaches this many operations, or
  // 64 MiB, or 512 log objects; 0: only when asked by `compact` or `fold`. At a million operations
  // or 512 MiB writes are refused with `overloaded`.
  std::uint64_t fold_ops_min = 20'000;
  // Make the directory of the store if it is missing; false: that is `not_found`.
  bool create_if_missing = true;
};

struct IndexInfo {
  IndexName name;
  std::string uuid;
  IndexConfig config;
  std::uint64_t version = 0;   // of HEAD
  std::uint64_t epoch = 0;     // take-overs so far
  std::uint64_t vectors = 0;   // live, tail included
  std::uint64_t tail_ops = 0;  // log operations not yet folded
  std::uint64_t clusters = 0;
  std::uint64_t parts = 0;  // cluster parts; after compact one a cluster unless that is very large
  std::uint64_t stale_rows = 0;          // replaced or deleted rows still stored
  std::uint64_t cluster_rows_max = 0;    // live rows of the largest cluster
  std::uint64_t cluster_rows_limit = 0;  // clusters of more live rows are split when next rewritten
  // Rows that this process wrote into clusters: from the log and imports, again to keep clusters in
  // shape, and by rebuilds of the whole index.
  std::uint64_t rows_folded = 0, rows_rewritten = 0, rows_rebuilt = 0;
  // Clusters, centroids, key map, stale rows and the log; not the manifest and what waits to be
  // removed.
  std::uint64_t stored_bytes = 0;
  std::uint64_t log_bytes = 0;  // of these, log objects not yet folded
  std::string row_type;         // "u8", "f16", "f32", or "mixed"
  // Why the last fold, rebuild or pin in the background of this process failed; empty: it did not.
  std::string background_error;
};

struct PutAck {
  Lsn lsn;  // of the last operation in the batch
};

struct KeyPage {
  std::vector<std::string> keys;  // in byte order
  std::string next;               // pass as `start_after` for the next page; empty at the end
};

struct OutlierOptions {
  std::uint32_t count = 20;  // outliers to find, 1 to kOutliersMax
  // A row is as far out as its so many-th nearest other row is away; 1 to kOutlierNeighborsMax.
  std::uint32_t neighbors = 10;
  // Only rows whose metadata matches are looked at, as outliers and as neighbours
  // (docs/filters.md); empty for all.
  std::string filter = {};
  bool include_metadata = true;
  ProgressSink progress = {};
};

struct OutlierReport {
  // The distance of each is that to its neighbour. Farthest first, ties by key.
  std::vector<Hit> outliers;
  std::uint64_t rows = 0;       // looked at
  std::uint64_t dropped = 0;    // of these, told to be none of the answer without all distances
  std::uint64_t distances = 0;  // computed
  // Of the distances from every row to every other. Above 1 where all have to be looked at, some
  // twice, as in a small index.
  double pair_share = 0;
};

// Where `import` reads from: rows in order, once, all by the thread that calls `import`.
class RowSource {
 public:
  virtual ~RowSource() = default;
  // Expected number of rows, 0 if unknown. Used for progress only.
  virtual std::uint64_t size_hint() const = 0;
  // Fills `record` with the next row; false at the end. A malformed row is `invalid` and names
  // the file, the row and the field. `record.key` left empty: the row number becomes the key, and
  // then no row of the source may have one of its own.
  virtual Result<bool> next(VectorRecord& record) = 0;
};

struct ImportOptions {
  ProgressSink progress;
  // 0: chosen from the number of rows. Without effect on an index that has clusters already.
  std::uint32_t clusters = 0;
};

struct ImportReport {
  std::uint64_t vectors = 0;     // different keys
  std::uint64_t duplicates = 0;  // rows left out because a later one has the same key
  std::uint64_t replaced = 0;    // keys that existed before
  std::uint64_t clusters = 0;
  std::uint64_t bytes_written = 0;
  double read_seconds = 0, train_seconds = 0, assign_seconds = 0, write_seconds = 0;
};

struct CompactOptions {
  ProgressSink progress;
  // How long objects that a commit replaced are kept for readers that still use them. A reader
  // that outlives it starts over on the newer version; it never sees a partial answer.
  std::chrono::milliseconds grace{0};
  // Takes the jobs of other processes off the list first, an import above all. For those that ended
  // in a way that cannot be seen from here, which would hold folds and imports up for a day; one
  // that does run fails with its next commit.
  bool abort_jobs = false;
};

struct CompactReport {
  std::uint64_t folded_ops = 0;
  std::uint64_t clusters_rewritten = 0, rows_rewritten = 0, splits = 0, merges = 0;
  std::uint64_t objects_deleted = 0, bytes_deleted = 0;
};

struct PinOptions {
  std::chrono::seconds ttl{0};  // 0: no end
  // In memory only codes, all else on disk: what queries with QueryOptions::codes_only use.
  bool codes_only = false;
  ProgressSink progress = {};
};

struct PinReport {
  std::uint64_t bytes = 0;
  // Pinned in memory, but not on disk: there is no room for more that is pinned, or it failed.
  std::uint64_t sections_not_on_disk = 0;
};

struct FsckFinding {
  std::string invariant;  // "I1" to "I20", or "object" for bytes that fail verification
  std::string object;     // key in the store
  std::string message;
};

struct FsckReport {
  std::uint64_t objects = 0, bytes = 0;  // that HEAD reaches, itself and the log included
  std::uint64_t log_ops = 0, live_keys = 0;
  std::uint64_t orphans = 0;          // objects that nothing reaches; harmless, removed by compact
  std::vector<FsckFinding> findings;  // empty: the index is sound
  std::string state_hash;  // of the map key -> vector, metadata; equal states give equal hashes
};

// An immutable view: one version of HEAD and one position of the log. Cheap to copy the pointer.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  // `not_found`: an object was collected meanwhile; take a newer snapshot and ask again.
  virtual Result<QueryResult> query(std::span<const float> vector,
                                    const QueryOptions& options) const = 0;
  // The same into `result`, whose memory is used again. Of a pinned index whose log is folded the
  // answer takes no lock and allocates nothing once all memory is large enough. After an error
  // `result` says nothing.
  virtual Status query_into(std::span<const float> vector, const QueryOptions& options,
                            QueryResult& result) const = 0;
  // Many at once, on the threads of the library (`compute_threads`) and the caller: `vectors` one
  // behind the other, `results` in their order, each as `query` gives it. `invalid` names the
  // query. After an error `results` says nothing. Not from a task of the library's threads.
  virtual Status query_batch(std::span<const float> vectors, const QueryOptions& options,
                             std::vector<QueryResult>& results) const = 0;
  // The rows that are farthest from their neighbours: the `count` with the largest distance to
  // their `neighbors`-th nearest other row, or to the farthest if there are fewer. Exact, the log
  // included, with distances as exact queries have them. Of another key is another row, however
  // equal; a row without any other has no such distance and is left out. Works on the threads of
  // the library. Memory: 4 bytes a row, and what it holds of clusters and of rows not yet decided,
  // which does not grow with the index. `invalid` names the field. Errors as `query`. Not from a
  // task of the library's threads.
  virtual Result<OutlierReport> outliers(const OutlierOptions& options) const = 0;
  // Live ones. Reads the key map if the log is not empty; errors as `query`.
  virtual Result<std::uint64_t> vectors() const = 0;
  // Memory: what the cache keeps of the index in tiers in memory, compressed ones included, and
  // what the view has beside it: centroids, manifest, stale rows, and the key map and keys that
  // gets, folds and listings loaded. Without the log behind the fold pointer and what calls under
  // way hold.
  virtual std::uint64_t resident_bytes() const = 0;
};

// Errors of all calls that ask the store, beside those that a call names:
// `unavailable`: the store failed; `cancelled`: it took too long, or the index is closed;
// `not_found`: the index was dropped; `corrupt`: an object is damaged or lost, and named;
// `overloaded`: a limit, of space for example. Bad arguments are `invalid`.
//
// Progress is reported by the thread that made the call.
class Index {
 public:
  virtual ~Index() = default;

  virtual const IndexName& name() const = 0;
  virtual const IndexConfig& config() const = 0;

  // Writes all records or none. When it returns, they are in the store and every later query of
  // any process sees them. Threads that call at the same time share one log object.
  // `invalid`: the first bad record is named, nothing was written. `unavailable`, `cancelled`: it
  // is not known whether the batch was written; writing it again is safe. `overloaded`: the log is
  // full because nothing folds it, or too many writes wait, or there is no space; nothing was
  // written.
  virtual Result<PutAck> put(std::span<const VectorRecord> records) = 0;
  // Deletes; keys that do not exist are no error. Same promise as `put`.
  virtual Result<PutAck> remove(std::span<const std::string> keys) = 0;

  // Records in the order of `keys`; nullopt where a key does not exist.
  virtual Result<std::vector<std::optional<VectorRecord>>> get(
      std::span<const std::string> keys) = 0;
  // Live keys greater than `start_after` in byte order, at most `limit`.
  virtual Result<KeyPage> list(const std::string& start_after, std::uint32_t limit) = 0;

  // Strong read: sees every write acknowledged before the call.
  virtual Result<QueryResult> query(std::span<const float> vector, const QueryOptions& options) = 0;
  // Snapshot::outliers of a current view.
  virtual Result<OutlierReport> outliers(const OutlierOptions& options) = 0;
  // A current view for many queries.
  virtual Result<std::shared_ptr<const Snapshot>> snapshot() = 0;

  // First load or bulk load: one commit at the end, bounded memory; then clusters that it left out
  // of shape are brought back. Rows replace equal keys; of several rows with one key the last
  // counts, and what is written meanwhile is newer than all of them. `invalid`: a bad row, or some
  // rows have keys and others none. An error of `rows` is returned as it is, and nothing was
  // written. `conflict`: another import of this index runs. `unavailable`: it was aborted, or not
  // known; importing again is safe.
  virtual Result<ImportReport> import(RowSource& rows, const ImportOptions& options) = 0;
  // Moves the tail of the log into clusters, keeps those in shape, and returns how many operations
  // were moved; 0 while an import runs.
  // `conflict`: other writers take the index over all the time; nothing was lost.
  virtual Result<std::uint64_t> fold() = 0;
  // Fold, rewrite clusters with stale rows or several parts, split, merge, refit the recall table,
  // collect garbage. `conflict` as of `fold`. While an import runs, only garbage is collected.
  virtual Result<CompactReport> compact(const CompactOptions& options) = 0;
  // Damage is a finding, not an error. `unavailable`: the index changes too fast to tell.
  virtual Result<FsckReport> fsck(const ProgressSink& progress) = 0;
  virtual Result<IndexInfo> info() = 0;

  // Brings all sections of the index into the cache and returns their bytes. What does not fit into
  // memory is in the next tiers, if there are any. Little of them at a time is held beside the
  // cache.
  virtual Result<std::uint64_t> warm(const ProgressSink& progress) = 0;
  // The same, and keeps them in memory, and on disk if there is such a tier, until `unpin`, `evict`
  // or for `options.ttl`. What folds, compactions and imports add later is pinned in the
  // background as soon as this process has seen it. A process that opens the folder later keeps on
  // disk what is there, not in memory. `overloaded`: a section is too large, or pinned bytes are at
  // their limit, half of the tier. `cancelled`: the time was over first. `unavailable`: the store,
  // or the pin cannot be written down in the folder. After an error is pinned what was before.
  virtual Result<PinReport> pin(const PinOptions& options) = 0;
  // Returns how many sections were pinned. `unavailable`: that cannot be written down in the
  // folder, and the next process pins again.
  virtual Result<std::uint64_t> unpin() = 0;
  // Unpins the index, removes what all tiers keep of it and returns how many bytes that were.
  // `unavailable`: as of `unpin`.
  virtual Result<std::uint64_t> evict() = 0;

  // Stops taking writes, imports, folds and compactions, and waits for puts, removes and background
  // work under way; an `import`, `fold` or `compact` that another thread is in goes on. Reads still
  // work. Idempotent.
  virtual void close() = 0;
};

// One tier of the cache, or the store.
struct CacheTierStatus {
  std::string name;  // as in TierReads
  bool available = true;
  std::uint64_t hits = 0, misses = 0;  // of this process
  std::uint64_t items = 0;
  std::uint64_t value_bytes = 0;     // as kept
  std::uint64_t raw_bytes = 0;       // the same before compression
  std::uint64_t resident_bytes = 0;  // memory, bookkeeping included; of a disk tier that alone
  std::uint64_t disk_bytes = 0;
  std::uint64_t capacity_bytes = 0;  // 0: no limit
  std::uint64_t pinned_items = 0, pinned_bytes = 0;
  std::uint64_t evicted = 0, expired = 0, rejected = 0, errors = 0, corrupt = 0;
};

struct CacheStatus {
  std::vector<CacheTierStatus> tiers;  // from the dearest to the cheapest
  std::uint64_t loads = 0, load_errors = 0, loads_shared = 0;
  // Clusters of indexes in the order of time that were asked for ahead of queries.
  std::uint64_t clusters_prefetched = 0;
  std::optional<CacheTierStatus> answers;  // with CacheOptions::answers_bytes_max
  std::uint64_t promotions = 0, promotions_dropped = 0;
  std::uint64_t demotions = 0, demotions_dropped = 0;
  // What each tier keeps of an index, in bytes, in the order of `tiers`; 0 of Redis, which is not
  // searched.
  struct OfIndex {
    IndexName name;
    std::vector<std::uint64_t> bytes;
  };
  std::vector<OfIndex> indexes;
};

class Database {
 public:
  virtual ~Database() = default;

  // `uri`: a directory, file:///dir or memory://. `invalid`: not an address that Varve knows.
  // `not_found`: no such directory, and the options do not allow to make it.
  static Result<std::unique_ptr<Database>> open(const std::string& uri,
                                                const DatabaseOptions& options);

  // `conflict`: it exists with another configuration; the same one again is no error if
  // `exist_ok`.
  virtual Result<std::shared_ptr<Index>> create_index(const IndexName& name,
                                                      const IndexConfig& config, bool exist_ok) = 0;
  // `not_found`: no such index. `corrupt`: it exists, and an object that it needs is damaged or
  // lost. An index that is open already is the same object: who closes it closes it for all.
  virtual Result<std::shared_ptr<Index>> open_index(const IndexName& name) = 0;
  // Index::fsck, also for an index that `open_index` finds corrupt.
  virtual Result<FsckReport> fsck_index(const IndexName& name, const ProgressSink& progress) = 0;
  // Removes the index and everything it holds. `not_found`: no such index.
  virtual Status drop_index(const IndexName& name) = 0;
  // Names in byte order.
  virtual Result<std::vector<IndexName>> list_indexes() = 0;

  // Counters are those of this process. With `indexes`, also what each index of the store has in
  // each tier, but for indexes that cannot be read. Waits for nothing: an entry on disk that is not
  // known yet is not counted.
  virtual Result<CacheStatus> cache_status(bool indexes) = 0;
};

// `invalid` with the field named: "bucket name 'A' ...".
Status validate_name(const IndexName& name);
// "bucket/index" -> IndexName, validated.
Result<IndexName> parse_index_name(const std::string& text);

}  // namespace varve
