#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "varve/text.h"

namespace varve::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// An index as a map, which can be told to fail.
class MapIndex final : public Index {
 public:
  explicit MapIndex(IndexConfig config) : config_(config) {}

  std::map<std::string, VectorRecord> rows;
  int writes_left = 1'000'000;
  std::size_t largest_put = 0;

  const IndexName& name() const override { return name_; }
  const IndexConfig& config() const override { return config_; }
  Result<PutAck> put(std::span<const VectorRecord> records) override {
    if (writes_left-- <= 0) return fail(ErrorKind::unavailable, "store is gone");
    largest_put = std::max(largest_put, records.size());
    for (const auto& record : records) rows[record.key] = record;
    return PutAck{};
  }
  Result<PutAck> remove(std::span<const std::string> keys) override {
    if (writes_left-- <= 0) return fail(ErrorKind::unavailable, "store is gone");
    for (const auto& key : keys) rows.erase(key);
    return PutAck{};
  }
  Result<std::vector<std::optional<VectorRecord>>> get(std::span<const std::string> keys) override {
    std::vector<std::optional<VectorRecord>> found;
    for (const auto& key : keys) {
      found.push_back(rows.contains(key) ? std::optional(rows[key]) : std::nullopt);
    }
    return found;
  }
  Result<KeyPage> list(const std::string& start_after, std::uint32_t limit) override {
    KeyPage page;
    for (auto at = rows.upper_bound(start_after); at != rows.end(); ++at) {
      if (page.keys.size() == limit) {
        page.next = page.keys.back();
        break;
      }
      page.keys.push_back(at->first);
    }
    return page;
  }
  Result<QueryResult> query(std::span<const float> vector, const QueryOptions& options) override {
    QueryResult result;
    for (const auto& [key, record] : rows) {
      double dot = 0;
      for (std::size_t i = 0; i < vector.size(); ++i) dot += vector[i] * record.vector[i];
      result.hits.push_back({key, 1 - dot, record.metadata});
    }
    std::sort(result.hits.begin(), result.hits.end(),
              [](const Hit& a, const Hit& b) { return a.distance < b.distance; });
    result.hits.resize(std::min<std::size_t>(result.hits.size(), options.k));
    return result;
  }
  Result<OutlierReport> outliers(const OutlierOptions&) override { return unused(); }
  Result<std::shared_ptr<const Snapshot>> snapshot() override { return unused(); }
  Result<ImportReport> import(RowSource&, const ImportOptions&) override { return unused(); }
  Result<std::uint64_t> fold() override { return unused(); }
  Result<CompactReport> compact(const CompactOptions&) override { return unused(); }
  Result<FsckReport> fsck(const ProgressSink&) override { return unused(); }
  Result<IndexInfo> info() override { return unused(); }
  Result<std::uint64_t> warm(const ProgressSink&) override { return unused(); }
  Result<PinReport> pin(const PinOptions&) override { return unused(); }
  Result<std::uint64_t> unpin() override { return unused(); }
  Result<std::uint64_t> evict() override { return unused(); }
  void close() override {}

 private:
  static tl::unexpected<Error> unused() { return fail(ErrorKind::internal, "not used here"); }

  IndexName name_{"demo", "notes"};
  IndexConfig config_;
};

class MapDatabase final : public Database {
 public:
  std::shared_ptr<MapIndex> index;

  Result<std::shared_ptr<Index>> create_index(const IndexName&, const IndexConfig& config,
                                              bool) override {
    index = std::make_shared<MapIndex>(config);
    return index;
  }
  Result<std::shared_ptr<Index>> open_index(const IndexName&) override {
    if (!index) return fail(ErrorKind::not_found, "no index");
    return index;
  }
  Result<FsckReport> fsck_index(const IndexName&, const ProgressSink& progress) override {
    if (!index) return fail(ErrorKind::not_found, "no index");
    return index->fsck(progress);
  }
  Status drop_index(const IndexName&) override {
    if (!index) return fail(ErrorKind::not_found, "no index");
    index.reset();
    return {};
  }
  Result<std::vector<IndexName>> list_indexes() override { return std::vector<IndexName>(); }
  Result<CacheStatus> cache_status(bool) override { return CacheStatus(); }
};

const IndexName kName{"demo", "notes"};

class Ingest : public testing::Test {
 protected:
  Ingest() {
    folder_ = std::filesystem::temp_directory_path() /
              ("varve-ingest-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~Ingest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  IngestReport run(const IngestOptions& options = {}) {
    return ingest(database_, kName, {folder_.string()}, options).value();
  }
  std::vector<std::string> keys() {
    std::vector<std::string> all;
    for (const auto& [key, record] : database_.index->rows) {
      all.push_back(key.substr(folder_.string().size() + 1));
    }
    return all;
  }

  MapDatabase database_;
  std::filesystem::path folder_;
};

std::string paragraphs(int count, const std::string& word) {
  std::string text;
  for (int i = 0; i < count; ++i) text += word + std::string(700, 'x') + std::to_string(i) + "\n\n";
  return text;
}

TEST_F(Ingest, MakesTheIndexAndFindsText) {
  write("a.md", "# Lakes\n\nA frozen lake in winter.");
  write("b.txt", "Bread is baked from rye.");
  const IngestReport report = run();
  EXPECT_EQ(report.files, 2U);
  EXPECT_EQ(report.chunks_written, 2U);
  EXPECT_EQ(database_.index->config().dim, 384U);
  EXPECT_EQ(database_.index->config().metric, Metric::cosine);
  const auto result = search(*database_.index, "baking rye bread", {}).value();
  ASSERT_FALSE(result.hits.empty());
  EXPECT_THAT(result.hits[0].key, HasSubstr("b.txt#0"));
  EXPECT_THAT(result.hits[0].metadata, HasSubstr("\"text\":\"Bread is baked from rye.\""));
}

TEST_F(Ingest, SkipsUnchangedFilesUnlessTheRecipeChanged) {
  write("a.md", "one");
  EXPECT_EQ(run().files_unchanged, 0U);
  EXPECT_EQ(run().files_unchanged, 1U);
  IngestOptions other;
  other.chunks.target_characters = 500;
  EXPECT_EQ(run(other).files_unchanged, 0U);
}

TEST_F(Ingest, ReplacesAChangedFileAndRemovesSurplusChunksOfItOnly) {
  write("a.md", paragraphs(12, "old"));
  write("a.md#1", "not taken by its name");
  write("a.md.txt", "stays");
  run();
  ASSERT_EQ(keys().size(), 13U);
  write("a.md", paragraphs(2, "new"));
  const IngestReport report = run();
  EXPECT_EQ(report.chunks_removed, 10U);
  EXPECT_EQ(report.files_unchanged, 1U);
  EXPECT_THAT(keys(), ElementsAre("a.md#0", "a.md#1", "a.md.txt#0"));
}

TEST_F(Ingest, PutsAtMost500RowsAtOnce) {
  write("long.md", paragraphs(1203, "w"));
  run();
  EXPECT_EQ(database_.index->rows.size(), 1203U);
  EXPECT_LE(database_.index->largest_put, 500U);
}

TEST_F(Ingest, DoesAFileAgainAfterAFailureAtAnyWrite) {
  for (int writes = 0; writes < 8; ++writes) {
    database_.index.reset();
    write("a.md", paragraphs(1100, "old"));
    run();
    write("a.md", paragraphs(700, "new"));
    database_.index->writes_left = writes;
    const auto failed = ingest(database_, kName, {folder_.string()}, {});
    database_.index->writes_left = 1'000'000;
    // Back to the old text: what is stored must not look as if it were that still.
    write("a.md", paragraphs(1100, "old"));
    run();
    EXPECT_EQ(database_.index->rows.size(), 1100U) << writes;
    for (const auto& [key, record] : database_.index->rows) {
      ASSERT_THAT(record.metadata, HasSubstr("old")) << key << " after " << writes;
    }
    if (failed) break;
  }
}

TEST_F(Ingest, SaysWhatItSkipsAndWhatFails) {
  write("a.md", "text");
  write("b.bin", "x");
  write("c.txt", std::string("a\0b", 3));
  write("d.txt", "\xff\xfe");
  write("e.md", "...");
  write(".hidden/f.md", "text");
  const IngestReport report = run();
  EXPECT_EQ(report.chunks_written, 1U);
  EXPECT_EQ(report.skipped.size(), 3U);
  ASSERT_EQ(report.failed.size(), 1U);
  EXPECT_THAT(report.failed[0].file, HasSubstr("e.md"));
}

TEST_F(Ingest, TakesTheChunksOfAFileThatHoldsNoTextAnyMore) {
  write("emptied.md", paragraphs(3, "old"));
  write("binary.txt", "text");
  write("stays.md", "text");
  run();
  ASSERT_EQ(keys().size(), 5U);
  write("emptied.md", "");
  write("binary.txt", std::string("a\0b", 3));
  const IngestReport report = run();
  EXPECT_EQ(report.chunks_removed, 4U);
  EXPECT_EQ(report.failed.size(), 1U);
  EXPECT_EQ(report.skipped.size(), 1U);
  EXPECT_THAT(keys(), ElementsAre("stays.md#0"));
}

TEST_F(Ingest, PrunesFilesThatAreGoneAndNothingElse) {
  write("a.md", "text");
  write("gone.md", paragraphs(3, "w"));
  write("deep/gone.md", "text");
  write("excluded.txt", "text");
  run();
  database_.index->rows[folder_.string() + "/mine#1"] = {"", {}, R"({"file":"other"})"};
  database_.index->rows["elsewhere/gone.md#0"] = {
      "", {}, R"({"file":"elsewhere/gone.md","chunk":0})"};
  std::filesystem::remove(folder_ / "gone.md");
  std::filesystem::remove_all(folder_ / "deep");
  EXPECT_EQ(run().chunks_removed, 0U);
  IngestOptions options;
  options.prune = true;
  options.include = "*.md";
  const IngestReport report = run(options);
  EXPECT_EQ(report.files_pruned, 2U);
  EXPECT_EQ(report.chunks_removed, 4U);
  EXPECT_TRUE(database_.index->rows.erase("elsewhere/gone.md#0"));
  EXPECT_THAT(keys(), ElementsAre("a.md#0", "excluded.txt#0", "mine#1"));
}

TEST_F(Ingest, NamesFilesWhoseNameIsNoKeyAndTakesTheRest) {
  const std::string latin = write("b\xe4r.md", "text");
  const std::string deep = std::string(200, 'd') + "/" + std::string(200, 'd') + "/";
  const std::string far = write(deep + deep + std::string(250, 'd') + ".md", "text");
  write("good.md", "text");
  for (int i = 0; i < 2; ++i) {
    const IngestReport report = run();
    EXPECT_EQ(report.files, 3U);
    ASSERT_EQ(report.failed.size(), 2U);
    EXPECT_EQ(report.failed[0].file, latin);
    EXPECT_THAT(report.failed[0].reason, HasSubstr("UTF-8"));
    EXPECT_EQ(report.failed[1].file, far);
    EXPECT_THAT(keys(), ElementsAre("good.md#0"));
  }
}

TEST_F(Ingest, NamesAFileThatDoesNotFitIntoMetadata) {
  // JSON takes six bytes for each of these characters.
  write("control.md", "word " + std::string(7000, '\x01'));
  write("good.md", "text");
  IngestOptions options;
  options.chunks.target_characters = 8000;
  const IngestReport report = run(options);
  ASSERT_EQ(report.failed.size(), 1U);
  EXPECT_THAT(report.failed[0].reason, HasSubstr("at most 40960 can be stored"));
  EXPECT_THAT(keys(), ElementsAre("good.md#0"));
}

TEST_F(Ingest, KeepsWhatIsDoneWhenItIsStopped) {
  for (const char* name : {"a.md", "b.md", "c.md"}) write(name, "text");
  int asked = 0;
  IngestOptions options;
  options.stop = [&] { return ++asked == 2; };
  IngestReport report = run(options);
  EXPECT_TRUE(report.stopped);
  EXPECT_EQ(report.chunks_written, 2U);
  EXPECT_THAT(keys(), ElementsAre("a.md#0", "b.md#0"));
  report = run();
  EXPECT_FALSE(report.stopped);
  EXPECT_EQ(report.files_unchanged, 2U);
}

TEST_F(Ingest, TakesWhatTheGlobSays) {
  write("a.md", "text");
  write("b.cc", "int main() {}");
  IngestOptions options;
  options.include = "*.cc";
  run(options);
  EXPECT_THAT(keys(), ElementsAre("b.cc#0"));
}

TEST_F(Ingest, RecreatesTheIndexWhenAsked) {
  write("a.md", "text");
  run();
  database_.index->rows["stray"] = {};
  IngestOptions options;
  options.recreate = true;
  EXPECT_EQ(run(options).chunks_written, 1U);
  EXPECT_THAT(keys(), ElementsAre("a.md#0"));
}

TEST_F(Ingest, RefusesAnIndexItCannotUse) {
  database_.index = std::make_shared<MapIndex>(IndexConfig{.dim = 3, .metric = Metric::cosine});
  EXPECT_EQ(ingest(database_, kName, {folder_.string()}, {}).error().kind, ErrorKind::conflict);
  EXPECT_EQ(search(*database_.index, "x", {}).error().kind, ErrorKind::invalid);
  EXPECT_EQ(search(*database_.index, "x", {}).error().hint, "");
  database_.index = std::make_shared<MapIndex>(IndexConfig{.dim = 64, .metric = Metric::cosine});
  EXPECT_EQ(search(*database_.index, "x", {}).error().hint, "--embedder hash:64");
  database_.index =
      std::make_shared<MapIndex>(IndexConfig{.dim = 384, .metric = Metric::euclidean});
  EXPECT_EQ(search(*database_.index, "x", {}).error().kind, ErrorKind::invalid);
  EXPECT_EQ(ingest(database_, kName, {folder_.string()}, {}).error().kind, ErrorKind::conflict);
  EXPECT_EQ(ingest(database_, kName, {"/nowhere"}, {}).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace varve::text
