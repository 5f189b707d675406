// Text in, neighbours out: files are cut into chunks, chunks are turned into vectors, and a search
// asks with the vector of the question.
//
//   auto report = varve::text::ingest(*db, {"demo", "notes"}, {"./notes"}, {});
//   auto answer = varve::text::search(*index, "what did we decide about backups", {.k = 3});
//
// No function here keeps state; thread-safe as far as the database that is handed in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/database.h"

namespace varve::text {

// Turns text into a vector of unit length. Thread-safe.
class Embedder {
 public:
  virtual ~Embedder() = default;
  virtual std::string name() const = 0;  // "hash:384"
  virtual std::uint32_t dim() const = 0;
  // `invalid`: the text holds nothing to embed, or is not UTF-8.
  virtual Result<std::vector<float>> embed(std::string_view text) const = 0;
};

// "hash:DIM", DIM from 32 to kDimMax: built in, needs nothing. `invalid`: not known.
Result<std::unique_ptr<Embedder>> make_embedder(const std::string& name);
inline constexpr const char* kDefaultEmbedder = "hash:384";

struct ChunkOptions {
  std::size_t target_characters = 800;  // 100 to 8,000
  // At most half of the target; default: an eighth of it, at most 100.
  std::optional<std::size_t> overlap_characters;
};

struct IngestOptions {
  std::string embedder = kDefaultEmbedder;
  ChunkOptions chunks;
  std::string include;    // glob for file names in folders, such as "*.md"; empty: known text files
  bool recreate = false;  // drop the index first
  // Remove the chunks of files below the given folders that do not exist any more. Without it they
  // stay.
  bool prune = false;
  ProgressSink progress;       // unit "files"
  std::function<bool()> stop;  // asked after each file; true: write what is under way and return
};

// What happened to one file that was not taken in, and why.
struct SkippedFile {
  std::string file;
  std::string reason;
};

struct IngestReport {
  std::uint64_t files = 0;            // looked at
  std::uint64_t files_unchanged = 0;  // not touched: same bytes, chunker and embedder as before
  std::uint64_t chunks_written = 0;
  std::uint64_t files_pruned = 0;    // gone from their folder, and with `prune` from the index
  std::uint64_t chunks_removed = 0;  // of files that are gone, or hold less or no text any more
  std::uint64_t bytes = 0;           // of text that was embedded
  std::vector<SkippedFile> skipped;  // not text by name or content: no failure
  std::vector<SkippedFile> failed;   // could not be read, embedded or stored
  bool stopped = false;              // by `stop`, before the last file
};

// Cuts files, or all text files below folders, into chunks and puts them in `name`, which is made
// with the metric cosine if it does not exist. Chunk n of a file has the key "<file>#<n>". A file
// whose bytes, chunker and embedder are unchanged is skipped; a changed one replaces its chunks,
// one that holds no text any more loses them. A file that could not be read keeps them. A crash
// leaves each file either as it was, or to be done again by the next call. `not_found`: a path does
// not exist. `conflict`: the index has another dimension or metric.
Result<IngestReport> ingest(Database& database, const IndexName& name,
                            const std::vector<std::string>& paths, const IngestOptions& options);

// The same for texts at hand.
struct Document {
  std::string name;  // takes the place of the file name; Markdown unless it ends in .html or .htm
  std::string text;
};
Result<IngestReport> ingest_documents(Database& database, const IndexName& name,
                                      const std::vector<Document>& documents,
                                      const IngestOptions& options);

// Nearest chunks to a question. The hits' metadata has file, chunk, title, heading and text.
// `invalid`: nothing to embed, or the index has another dimension than the embedder, or not the
// metric cosine.
Result<QueryResult> search(Index& index, std::string_view question, const QueryOptions& options,
                           const std::string& embedder = kDefaultEmbedder);

}  // namespace varve::text
