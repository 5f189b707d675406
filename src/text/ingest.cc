#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "text/chunker.h"
#include "text/file_list.h"
#include "text/hash_embedder.h"

namespace varve::text {
namespace {

using Json = nlohmann::ordered_json;

// Records in one put, as in the S3 Vectors API.
constexpr std::size_t kBatchRows = 500;
// Files whose stored hashes are asked for at once.
constexpr std::size_t kFilesAtOnce = 64;
constexpr std::uint32_t kListPage = 1000;
// Leaves room for "#<n>" in the key.
constexpr std::size_t kFileNameBytesMax = kKeyBytesMax - 24;

std::string chunk_key(const std::string& file, std::size_t n) {
  return fmt::format("{}#{}", file, n);
}

// "<file>#<digits>": a chunk of this file and not of one that is called "<file>#x".
bool is_chunk_key(const std::string& key, const std::string& file) {
  const std::size_t digits = file.size() + 1;
  return key.size() > digits && key.starts_with(file) && key[file.size()] == '#' &&
         key.find_first_not_of("0123456789", digits) == std::string::npos;
}

bool is_html(const std::string& file) { return file.ends_with(".html") || file.ends_with(".htm"); }

std::string field_of(const std::string& metadata, const char* field) {
  const Json json = Json::parse(metadata, nullptr, false);
  const auto found = json.is_object() ? json.find(field) : json.end();
  return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>()
                                                                       : "";
}

Status check_options(const ChunkOptions& chunks) {
  if (chunks.target_characters < 100 || chunks.target_characters > 8000) {
    return fail(ErrorKind::invalid, fmt::format("chunk size {} is not in 100 to 8000 characters",
                                                chunks.target_characters));
  }
  if (chunks.overlap_characters > chunks.target_characters / 2) {
    return fail(ErrorKind::invalid,
                fmt::format("overlap {} is more than half of the chunk size {}",
                            chunks.overlap_characters, chunks.target_characters));
  }
  return {};
}

Status check_config(const IndexName& name, const IndexConfig& config, const Embedder& embedder) {
  if (config.dim != embedder.dim()) {
    return fail(ErrorKind::conflict,
                fmt::format("index '{}' has dimension {}, embedder {} makes {}", name.str(),
                            config.dim, embedder.name(), embedder.dim()));
  }
  if (config.metric != Metric::cosine) {
    return fail(ErrorKind::conflict,
                fmt::format("index '{}' is euclidean, text needs cosine", name.str()));
  }
  return {};
}

struct OpenedIndex {
  std::shared_ptr<Index> index;
  bool created = false;
};

Result<OpenedIndex> open_or_create(Database& database, const IndexName& name,
                                   const Embedder& embedder, bool recreate) {
  if (recreate) {
    const Status dropped = database.drop_index(name);
    if (!dropped && dropped.error().kind != ErrorKind::not_found) {
      return tl::unexpected(dropped.error());
    }
  }
  auto opened = database.open_index(name);
  if (opened) {
    VARVE_CHECK(check_config(name, (*opened)->config(), embedder));
    return OpenedIndex{*opened, false};
  }
  if (opened.error().kind != ErrorKind::not_found) return tl::unexpected(opened.error());
  const IndexConfig config{.dim = embedder.dim(), .metric = Metric::cosine};
  VARVE_TRY(auto created, database.create_index(name, config, true));
  return OpenedIndex{std::move(created), true};
}

// Takes documents in one after the other, in batches.
class Ingestor {
 public:
  Ingestor(OpenedIndex opened, std::unique_ptr<Embedder> embedder, const IngestOptions& options)
      : opened_(std::move(opened)), embedder_(std::move(embedder)), options_(options) {}

  IngestReport& report() { return report_; }

  // The hashes of the versions that are stored, empty where there is none.
  Result<std::vector<std::string>> stored_hashes(const std::vector<std::string>& files) {
    std::vector<std::string> keys, hashes;
    for (const std::string& file : files) keys.push_back(chunk_key(file, 0));
    if (opened_.created) return std::vector<std::string>(files.size());
    VARVE_TRY(const auto records, opened_.index->get(keys));
    for (const auto& record : records) {
      hashes.push_back(record ? field_of(record->metadata, "hash") : "");
    }
    return hashes;
  }

  Status add(const Document& document, const std::string& stored_hash) {
    ++report_.files;
    const std::string hash = hash_of(document.text);
    if (hash == stored_hash) {
      ++report_.files_unchanged;
      return {};
    }
    std::vector<VectorRecord> records;
    if (Status made = make_records(document, hash, records); !made) {
      report_.failed.push_back({document.name, made.error().message});
      return {};
    }
    report_.bytes += document.text.size();
    VARVE_CHECK(remove_leftovers(document.name, records.size()));
    return enqueue(std::move(records));
  }

  Status flush() {
    if (pending_.empty()) return {};
    VARVE_CHECK(opened_.index->put(pending_));
    report_.chunks_written += pending_.size();
    pending_.clear();
    return {};
  }

 private:
  // Of everything that decides what is stored for a file.
  std::string hash_of(const std::string& text) const {
    const std::string recipe =
        fmt::format("{}/{} {} {} ", embedder_->name(), kHashEmbedderRevision,
                    options_.chunks.target_characters, options_.chunks.overlap_characters);
    const std::string all = recipe + text;
    const XXH128_hash_t hash = XXH3_128bits(all.data(), all.size());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

  Status make_records(const Document& document, const std::string& hash,
                      std::vector<VectorRecord>& records) const {
    if (document.name.size() > kFileNameBytesMax) {
      return fail(ErrorKind::invalid, "the file name is too long for a key");
    }
    const auto chunks = is_html(document.name)
                            ? chunk_markdown(markdown_of_html(document.text), options_.chunks)
                            : chunk_markdown(document.text, options_.chunks);
    for (const Chunk& chunk : chunks) {
      auto vector =
          embedder_->embed(fmt::format("{}\n{}\n{}", chunk.title, chunk.heading, chunk.text));
      // A chunk of dashes or dots alone says nothing that could be found.
      if (!vector) continue;
      Json metadata{{"file", document.name}, {"chunk", records.size()}};
      if (!chunk.title.empty()) metadata["title"] = chunk.title;
      if (!chunk.heading.empty()) metadata["heading"] = chunk.heading;
      metadata["text"] = chunk.text;
      if (records.empty()) metadata["hash"] = hash;
      records.push_back(
          {chunk_key(document.name, records.size()), std::move(*vector), metadata.dump()});
    }
    if (records.empty()) return fail(ErrorKind::invalid, "holds no words to embed");
    return {};
  }

  // Removes what an older version has beyond `keep` chunks. Chunk 0, which carries the hash, goes
  // with it, so that a crash before the new chunks are in leaves a file that is done again. The
  // same goes for a file that needs more than one put.
  Status remove_leftovers(const std::string& file, std::size_t keep) {
    if (opened_.created) return {};
    std::vector<std::string> surplus;
    std::string after = file + "#";
    // Ends: each page starts behind the last, and the keys with this prefix are finite.
    while (true) {
      VARVE_TRY(const KeyPage page, opened_.index->list(after, kListPage));
      for (const std::string& key : page.keys) {
        if (!is_chunk_key(key, file)) continue;
        const std::string digits = key.substr(file.size() + 1);
        if (digits.size() > 9 || std::stoul(digits) >= keep) surplus.push_back(key);
      }
      if (page.next.empty() || !page.keys.back().starts_with(file + "#")) break;
      after = page.next;
    }
    if (surplus.empty() && keep <= kBatchRows) return {};
    report_.chunks_removed += surplus.size();
    surplus.insert(surplus.begin(), chunk_key(file, 0));
    for (std::size_t i = 0; i < surplus.size(); i += kBatchRows) {
      const std::size_t count = std::min(kBatchRows, surplus.size() - i);
      VARVE_CHECK(opened_.index->remove(std::span(surplus).subspan(i, count)));
    }
    return {};
  }

  // A file goes into one put if it fits, and its chunk 0 last.
  Status enqueue(std::vector<VectorRecord> records) {
    if (pending_.size() + records.size() > kBatchRows) VARVE_CHECK(flush());
    std::rotate(records.begin(), records.begin() + 1, records.end());
    for (VectorRecord& record : records) {
      pending_.push_back(std::move(record));
      if (pending_.size() == kBatchRows) VARVE_CHECK(flush());
    }
    return {};
  }

  OpenedIndex opened_;
  std::unique_ptr<Embedder> embedder_;
  IngestOptions options_;
  IngestReport report_;
  std::vector<VectorRecord> pending_;
};

Result<Ingestor> make_ingestor(Database& database, const IndexName& name,
                               const IngestOptions& options) {
  VARVE_CHECK(check_options(options.chunks));
  VARVE_TRY(auto embedder, make_embedder(options.embedder));
  VARVE_TRY(auto opened, open_or_create(database, name, *embedder, options.recreate));
  return Ingestor(std::move(opened), std::move(embedder), options);
}

void report_progress(const IngestOptions& options, std::uint64_t done, std::uint64_t total) {
  if (options.progress) options.progress({"ingest", done, total, "files"});
}

// Reads one file and takes it in, or notes why not.
Status add_file(Ingestor& ingestor, const std::string& file, const std::string& stored_hash) {
  auto text = read_text_file(file);
  if (text) return ingestor.add({file, std::move(*text)}, stored_hash);
  ++ingestor.report().files;
  auto& notes = text.error().kind == ErrorKind::invalid ? ingestor.report().skipped
                                                        : ingestor.report().failed;
  notes.push_back({file, text.error().message});
  return {};
}

}  // namespace

Result<IngestReport> ingest(Database& database, const IndexName& name,
                            const std::vector<std::string>& paths, const IngestOptions& options) {
  VARVE_TRY(FileList list, list_files(paths, options.include));
  VARVE_TRY(auto ingestor, make_ingestor(database, name, options));
  ingestor.report().skipped = std::move(list.skipped);
  for (std::size_t i = 0; i < list.files.size(); i += kFilesAtOnce) {
    const auto begin = list.files.begin() + static_cast<std::ptrdiff_t>(i);
    const std::size_t count = std::min(kFilesAtOnce, list.files.size() - i);
    const std::vector<std::string> group(begin, begin + static_cast<std::ptrdiff_t>(count));
    VARVE_TRY(const auto hashes, ingestor.stored_hashes(group));
    for (std::size_t k = 0; k < group.size(); ++k) {
      VARVE_CHECK(add_file(ingestor, group[k], hashes[k]));
      report_progress(options, i + k + 1, list.files.size());
    }
  }
  VARVE_CHECK(ingestor.flush());
  return std::move(ingestor.report());
}

Result<IngestReport> ingest_documents(Database& database, const IndexName& name,
                                      const std::vector<Document>& documents,
                                      const IngestOptions& options) {
  VARVE_TRY(auto ingestor, make_ingestor(database, name, options));
  for (std::size_t i = 0; i < documents.size(); ++i) {
    VARVE_TRY(const auto hashes, ingestor.stored_hashes({documents[i].name}));
    VARVE_CHECK(ingestor.add(documents[i], hashes[0]));
    report_progress(options, i + 1, documents.size());
  }
  VARVE_CHECK(ingestor.flush());
  return std::move(ingestor.report());
}

Result<QueryResult> search(Index& index, std::string_view question, const QueryOptions& options,
                           const std::string& embedder_name) {
  VARVE_TRY(const auto embedder, make_embedder(embedder_name));
  if (index.config().dim != embedder->dim()) {
    return fail(ErrorKind::invalid,
                fmt::format("index '{}' has dimension {}, embedder {} makes {}", index.name().str(),
                            index.config().dim, embedder->name(), embedder->dim()));
  }
  VARVE_TRY(const auto vector, embedder->embed(question));
  return index.query(vector, options);
}

}  // namespace varve::text
