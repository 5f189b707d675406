#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/exit_code.h"
#include "cli/files/formats.h"
#include "cli/files/vector_file.h"
#include "cli/memory_use.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

struct Arguments {
  std::string name;
  std::string file;
  std::string format;
  std::string keys_file;
  std::uint32_t clusters = 0;
};

// Rows of one file with the lines of another as their keys.
class KeyedRows final : public RowSource {
 public:
  KeyedRows(std::unique_ptr<RowSource> rows, ByteReader keys)
      : rows_(std::move(rows)), keys_(std::move(keys)) {}

  std::uint64_t size_hint() const override { return rows_->size_hint(); }

  Result<bool> next(VectorRecord& record) override {
    VARVE_TRY(const bool has_row, rows_->next(record));
    VARVE_TRY(const bool has_key, keys_.read_line(key_, kKeyBytesMax));
    ++line_number_;
    const RowPlace place{keys_.name(), "line", line_number_};
    if (has_row && !has_key) return tl::unexpected(row_error(place, "fewer keys than rows"));
    if (has_key && !has_row) return tl::unexpected(row_error(place, "more keys than rows"));
    if (has_key && (key_.empty() || key_.size() > kKeyBytesMax)) {
      return tl::unexpected(row_error(place, "a key has 1 to 1024 bytes"));
    }
    if (has_row) record.key = key_;
    return has_row;
  }

 private:
  std::unique_ptr<RowSource> rows_;
  ByteReader keys_;
  std::string key_;
  std::uint64_t line_number_ = 0;
};

Result<std::unique_ptr<RowSource>> open_rows(const Arguments& arguments,
                                             const IndexConfig& config) {
  VectorFileOptions options;
  options.rules = {.dim = config.dim, .reject_zero = config.metric == Metric::cosine};
  if (!arguments.format.empty()) {
    VARVE_TRY(options.format, parse_format(arguments.format));
  }
  VARVE_TRY(auto rows, open_vector_file(arguments.file, options));
  if (arguments.keys_file.empty()) return rows;
  VARVE_TRY(OpenedFile keys, open_bytes(arguments.keys_file));
  return std::make_unique<KeyedRows>(std::move(rows),
                                     ByteReader(std::move(keys.bytes), arguments.keys_file));
}

Status note_clusters(const Settings& settings, Index& index, const Arguments& arguments) {
  if (arguments.clusters == 0) return {};
  VARVE_TRY(const IndexInfo info, index.info());
  if (info.clusters == 0) return {};
  note(settings, fmt::format("--clusters {} has no effect: index '{}' has {} clusters already",
                             arguments.clusters, arguments.name, grouped(info.clusters)));
  return {};
}

Result<int> import_file(const Settings& settings, const Arguments& arguments) {
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  VARVE_TRY(const auto rows, open_rows(arguments, open.index->config()));
  VARVE_CHECK(note_clusters(settings, *open.index, arguments));
  const base::TimePoint start = base::system_clock().now();
  ImportReport report;
  {
    ProgressPrinter progress("import " + arguments.name, progress_style(settings.progress),
                             base::system_clock());
    VARVE_TRY(report, open.index->import(
                          *rows, {.progress = progress.sink(), .clusters = arguments.clusters}));
  }
  if (report.vectors == 0) {
    return fail(ErrorKind::invalid, fmt::format("file '{}' holds no rows", arguments.file));
  }
  const double seconds = std::chrono::duration<double>(base::system_clock().now() - start).count();
  note(settings, fmt::format("imported {} vectors in {:.1f} s", grouped(report.vectors), seconds));
  if (report.duplicates > 0) {
    note(settings, fmt::format("left out {} rows, since later ones have the same keys",
                               grouped(report.duplicates)));
  }
  const Json json{{"vectors", report.vectors},
                  {"duplicates", report.duplicates},
                  {"replaced", report.replaced},
                  {"clusters", report.clusters},
                  {"bytes_written", report.bytes_written},
                  {"seconds", seconds},
                  {"read_seconds", report.read_seconds},
                  {"train_seconds", report.train_seconds},
                  {"assign_seconds", report.assign_seconds},
                  {"write_seconds", report.write_seconds},
                  {"peak_memory_bytes", peak_memory_bytes()}};
  print_document(settings, json, field_lines(json));
  return kExitDone;
}

}  // namespace

void add_import_verb(const VerbTable& verbs) {
  CLI::App* command = verbs.app.add_subcommand(
      "import",
      "Load a vector file: .fvecs .bvecs .ivecs .npy .jsonl, IDX ubyte, GloVe text; .gz and .zst");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("INDEX", arguments->name, "bucket/index")->required();
  command->add_option("FILE", arguments->file, "The file, - for standard input")->required();
  command->add_option("--format", arguments->format,
                      "fvecs, bvecs, ivecs, npy, idx, jsonl or words; default: by the name");
  command->add_option("--keys-from", arguments->keys_file,
                      "File with one key a line; default: keys of the file or row numbers");
  command->add_option("--clusters", arguments->clusters,
                      "Default: from the number of rows; only for the first import");
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return import_file(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
