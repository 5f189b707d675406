#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "base/utf8.h"
#include "text/chunk_keys.h"
#include "text/chunker.h"
#include "text/file_list.h"
#include "text/hash_embedder.h"
#include "text/prune.h"

namespace varve::text {
namespace {

using Json = nlohmann::ordered_json;

// Records in one put, as in the S3 Vectors API.
constexpr std::size_t kBatchRows = 500;
// Files whose stored hashes are asked for at once.
constexpr std::size_t kFilesAtOnce = 64;
constexpr std::uint32_t kListPage = 1000;

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
  if (overlap_characters(chunks) > chunks.target_characters / 2) {
    return fail(ErrorKind::invalid,
                fmt::format("overlap {} is more than half of the chunk size {}",
                            overlap_characters(chunks), chunks.target_characters));
  }
  return {};
}

// `metric` or `dim` keep the embedder from being used with the index.
Status check_fit(ErrorKind kind, const IndexName& name, const IndexConfig& config,
                 const Embedder& embedder) {
  if (config.dim != embedder.dim()) {
    return fail(kind,
                fmt::format("index '{}' has dimension {}, embedder {} makes {}", name.str(),
                            config.dim, embedder.name(), embedder.dim()),
                make_embedder(fmt::format("hash:{}", config.dim))
                    ? fmt::format("--embedder hash:{}", config.dim)
                    : "");
  }
  if (config.metric != Metric::cosine) {
    return fail(kind, fmt::format("index '{}' is euclidean, text needs cosine", name.str()));
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
    VARVE_CHECK(check_fit(ErrorKind::conflict, name, (*opened)->config(), embedder));
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

  // Notes a file that was looked at and not taken in.
  void note_failure(const std::string& file, const Error& error) {
    ++report_.files;
    report_.failed.push_back({file, error.message});
  }

  // The hashes of the versions that are stored, empty where there is none. REQUIRES:
  // check_file_name of all.
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
    const std::string hash = hash_of(document.text);
    if (hash == stored_hash) {
      ++report_.files;
      ++report_.files_unchanged;
      return {};
    }
    std::vector<VectorRecord> records;
    if (Status made = make_records(document, hash, records); !made) {
      note_failure(document.name, made.error());
      return remove_leftovers(document.name, 0);
    }
    ++report_.files;
    report_.bytes += document.text.size();
    VARVE_CHECK(remove_leftovers(document.name, records.size()));
    return enqueue(std::move(records));
  }

  // A file that is there but holds no text any more.
  Status skip(const std::string& file, const Error& error) {
    ++report_.files;
    report_.skipped.push_back({file, error.message});
    return remove_leftovers(file, 0);
  }

  Status prune_folders(const std::vector<std::string>& paths,
                       const std::vector<std::string>& present) {
    for (const std::string& path : paths) {
      std::error_code error;
      if (!std::filesystem::is_directory(path, error)) continue;
      VARVE_TRY(const Pruned pruned, prune(*opened_.index, path, present));
      report_.files_pruned += pruned.files;
      report_.chunks_removed += pruned.chunks;
    }
    return {};
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
                    options_.chunks.target_characters, overlap_characters(options_.chunks));
    const std::string all = recipe + text;
    const XXH128_hash_t hash = XXH3_128bits(all.data(), all.size());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

  Status make_records(const Document& document, const std::string& hash,
                      std::vector<VectorRecord>& records) const {
    if (!base::is_utf8(document.text)) return fail(ErrorKind::invalid, "not UTF-8");
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
      std::string stored = metadata.dump();
      if (stored.size() > kMetadataBytesMax) {
        return fail(ErrorKind::invalid,
                    fmt::format("chunk {} takes {} bytes as JSON, at most {} can be stored",
                                records.size(), stored.size(), kMetadataBytesMax));
      }
      records.push_back(
          {chunk_key(document.name, records.size()), std::move(*vector), std::move(stored)});
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
        if (file_of_chunk(key) != file) continue;
        const std::string digits = key.substr(file.size() + 1);
        if (digits.size() > 9 || std::stoul(digits) >= keep) surplus.push_back(key);
      }
      if (page.next.empty() || !page.keys.back().starts_with(file + "#")) break;
      after = page.next;
    }
    if (surplus.empty() && keep <= kBatchRows) return {};
    report_.chunks_removed += surplus.size();
    if (keep > 0) surplus.insert(surplus.begin(), chunk_key(file, 0));
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
  if (text.error().kind == ErrorKind::invalid) return ingestor.skip(file, text.error());
  ingestor.note_failure(file, text.error());
  return {};
}

// Leaves those whose names can be keys; the others have failed.
void check_names(Ingestor& ingestor, std::vector<std::string>& files) {
  std::erase_if(files, [&](const std::string& file) {
    const Status valid = check_file_name(file);
    if (!valid) ingestor.note_failure(file, valid.error());
    return !valid;
  });
}

Status add_files(Ingestor& ingestor, const std::vector<std::string>& files,
                 const IngestOptions& options) {
  for (std::size_t i = 0; i < files.size(); i += kFilesAtOnce) {
    const auto begin = files.begin() + static_cast<std::ptrdiff_t>(i);
    const std::size_t count = std::min(kFilesAtOnce, files.size() - i);
    const std::vector<std::string> group(begin, begin + static_cast<std::ptrdiff_t>(count));
    VARVE_TRY(const auto hashes, ingestor.stored_hashes(group));
    for (std::size_t k = 0; k < group.size(); ++k) {
      VARVE_CHECK(add_file(ingestor, group[k], hashes[k]));
      report_progress(options, i + k + 1, files.size());
      if (i + k + 1 < files.size() && options.stop && options.stop()) {
        ingestor.report().stopped = true;
        return ingestor.flush();
      }
    }
  }
  return ingestor.flush();
}

}  // namespace

Result<IngestReport> ingest(Database& database, const IndexName& name,
                            const std::vector<std::string>& paths, const IngestOptions& options) {
  VARVE_TRY(FileList list, list_files(paths, options.include));
  VARVE_TRY(auto ingestor, make_ingestor(database, name, options));
  ingestor.report().skipped = std::move(list.skipped);
  check_names(ingestor, list.files);
  VARVE_CHECK(add_files(ingestor, list.files, options));
  if (options.prune && !ingestor.report().stopped) {
    VARVE_CHECK(ingestor.prune_folders(paths, list.files));
  }
  return std::move(ingestor.report());
}

Result<IngestReport> ingest_documents(Database& database, const IndexName& name,
                                      const std::vector<Document>& documents,
                                      const IngestOptions& options) {
  VARVE_TRY(auto ingestor, make_ingestor(database, name, options));
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (const Status valid = check_file_name(documents[i].name); !valid) {
      ingestor.note_failure(documents[i].name, valid.error());
      continue;
    }
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
  VARVE_CHECK(check_fit(ErrorKind::invalid, index.name(), index.config(), *embedder));
  VARVE_TRY(const auto vector, embedder->embed(question));
  return index.query(vector, options);
}

}  // namespace varve::text
