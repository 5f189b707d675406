#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/exit_code.h"
#include "cli/files/formats.h"
#include "cli/files/json_row.h"
#include "cli/files/vector_file.h"
#include "cli/line_feed.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

constexpr std::size_t kBatchRows = 500;
constexpr std::size_t kBatchBytes = 8UL * 1024 * 1024;
// Long enough that a writer in a loop fills batches, short enough that one which waits for its
// acknowledgement does not notice.
constexpr int kBatchWaitMs = 2;

// Counts what was acknowledged and tells a reader of -o jsonl at once.
class Acknowledgements {
 public:
  explicit Acknowledgements(const Settings& settings) : settings_(settings) {}

  std::uint64_t rows() const { return rows_; }

  // An error if nobody can be told: then nothing more must be written.
  Status add(std::span<const std::string> keys, const PutAck& ack) {
    rows_ += keys.size();
    ++batches_;
    last_ = ack.lsn;
    if (settings_.output != OutputMode::jsonl) return {};
    std::string line = R"({"keys":[)";
    for (std::size_t i = 0; i < keys.size(); ++i) {
      line += (i > 0 ? "," : "") + json_string(keys[i]);
    }
    print_line(line + fmt::format(R"(],"lsn":"{}"}})", to_string(ack.lsn)));
    return flush_output();
  }

  // `done` is "put" or "given": delete does not know which of them existed.
  void print_summary(const char* done) const {
    if (settings_.output == OutputMode::json) {
      print_line(json_text(Json{{"keys", rows_},
                                {"batches", batches_},
                                {"lsn", batches_ > 0 ? Json(to_string(last_)) : Json()}}));
    } else {
      note(settings_,
           fmt::format("{} keys {} in {} batches", grouped(rows_), done, grouped(batches_)));
    }
  }

  // The exit code of a run that failed or was ended by a signal.
  Result<int> end(Status status, const char* done) const {
    if (status && exit_code_of_signal() == 0) {
      print_summary(done);
      return kExitDone;
    }
    if (status || rows_ == 0) {
      if (exit_code_of_signal() != 0) return exit_code_of_signal();
      return tl::unexpected(status.error());
    }
    print_error(settings_.output, status.error());
    note(settings_, fmt::format("{} keys {} before that", grouped(rows_), done));
    return kExitPartial;
  }

 private:
  const Settings& settings_;
  std::uint64_t rows_ = 0;
  std::uint64_t batches_ = 0;
  Lsn last_;
};

// Rows on their way into one log object.
class PutBatch {
 public:
  PutBatch(Index& index, Acknowledgements& acknowledgements)
      : index_(index), acknowledgements_(acknowledgements) {}

  // Takes the row; writes the batch if it is full.
  Status add(VectorRecord record) {
    bytes_ += record.key.size() + record.vector.size() * sizeof(float) + record.metadata.size();
    keys_.push_back(record.key);
    records_.push_back(std::move(record));
    return records_.size() >= kBatchRows || bytes_ >= kBatchBytes ? flush() : Status();
  }

  Status flush() {
    if (records_.empty()) return {};
    VARVE_TRY(const PutAck ack, index_.put(records_));
    Status told = acknowledgements_.add(keys_, ack);
    records_.clear();
    keys_.clear();
    bytes_ = 0;
    return told;
  }

 private:
  Index& index_;
  Acknowledgements& acknowledgements_;
  std::vector<VectorRecord> records_;
  std::vector<std::string> keys_;
  std::size_t bytes_ = 0;
};

struct PutArguments {
  std::string name;
  std::string file = "-";
  std::string format;
};

RowRules rules_of(const IndexConfig& config) {
  return {.dim = config.dim, .reject_zero = config.metric == Metric::cosine};
}

Status put_json_lines(Index& index, const std::string& path, Acknowledgements& acknowledgements) {
  VARVE_TRY(LineFeed lines, LineFeed::open(path));
  const RowRules rules = rules_of(index.config());
  JsonRowParser parser;
  PutBatch batch(index, acknowledgements);
  std::string line;
  int wait_ms = -1;
  while (true) {
    VARVE_TRY(const Feed feed, lines.next(line, wait_ms, kLineBytesMax));
    if (feed == Feed::end && lines.line_number() == 0 && path != "-") {
      return fail(ErrorKind::invalid, fmt::format("file '{}' is empty", path));
    }
    if (feed == Feed::end) return batch.flush();
    if (feed == Feed::pending) {
      VARVE_CHECK(batch.flush());
      wait_ms = -1;
      continue;
    }
    wait_ms = kBatchWaitMs;
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const RowPlace place{lines.name(), "line", lines.line_number()};
    VectorRecord record;
    VARVE_CHECK(parser.parse(line, place, rules, record));
    if (record.key.empty()) return tl::unexpected(row_error(place, "field 'key' is missing"));
    VARVE_CHECK(batch.add(std::move(record)));
  }
}

Status put_vector_file(Index& index, const std::string& path, FileFormat format,
                       Acknowledgements& acknowledgements) {
  VARVE_TRY(const auto rows,
            open_vector_file(path, {.format = format, .rules = rules_of(index.config())}));
  PutBatch batch(index, acknowledgements);
  for (std::uint64_t row = 0; exit_code_of_signal() == 0; ++row) {
    VectorRecord record;
    VARVE_TRY(const bool more, rows->next(record));
    if (!more) break;
    if (record.key.empty()) record.key = std::to_string(row);
    VARVE_CHECK(batch.add(std::move(record)));
  }
  return batch.flush();
}

// What ran unasked and failed: nobody waited for it.
void note_background_error(const Settings& settings, Index& index) {
  const auto info = index.info();
  if (!info || info->background_error.empty()) return;
  note(settings, fmt::format("work in the background failed: {}", info->background_error));
}

Result<int> put_rows(const Settings& settings, const PutArguments& arguments) {
  FileFormat format = FileFormat::jsonl;
  if (!arguments.format.empty()) {
    VARVE_TRY(format, parse_format(arguments.format));
  } else if (arguments.file != "-") {
    VARVE_TRY(format, format_of(arguments.file));
  }
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  const BatchesUnderWay batches;
  Acknowledgements acknowledgements(settings);
  const Status status =
      format == FileFormat::jsonl
          ? put_json_lines(*open.index, arguments.file, acknowledgements)
          : put_vector_file(*open.index, arguments.file, format, acknowledgements);
  open.index->close();
  note_background_error(settings, *open.index);
  return acknowledgements.end(status, "put");
}

struct DeleteArguments {
  std::string name;
  std::vector<std::string> keys;
  std::string keys_file;
};

// A key, or an object with one, such as a line of `list` or `get -o jsonl`. What begins like an
// object is never taken for a key: half a line would delete another key than was meant.
Result<std::string> key_of_line(const std::string& line, const RowPlace& place) {
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string::npos || line[first] != '{') return line;
  const Json json = Json::parse(line, nullptr, false);
  const bool named = json.is_object() && json.contains("key") && json["key"].is_string();
  if (named) return json["key"].get<std::string>();
  Error error = row_error(place, json.is_object() ? "no string 'key' in the object"
                                                  : "begins with '{' and is no JSON object");
  error.hint = R"(write a key that begins with '{' as {"key":"{..."})";
  return tl::unexpected(std::move(error));
}

Status delete_batch(Index& index, std::vector<std::string>& keys,
                    Acknowledgements& acknowledgements) {
  if (keys.empty()) return {};
  VARVE_TRY(const PutAck ack, index.remove(keys));
  Status told = acknowledgements.add(keys, ack);
  keys.clear();
  return told;
}

Status delete_keys(Index& index, const DeleteArguments& arguments,
                   Acknowledgements& acknowledgements) {
  std::vector<std::string> batch;
  for (const std::string& key : arguments.keys) {
    batch.push_back(key);
    if (batch.size() == kBatchRows) VARVE_CHECK(delete_batch(index, batch, acknowledgements));
  }
  if (arguments.keys_file.empty()) return delete_batch(index, batch, acknowledgements);
  VARVE_TRY(LineFeed lines, LineFeed::open(arguments.keys_file));
  std::string line;
  int wait_ms = -1;
  while (true) {
    VARVE_TRY(const Feed feed, lines.next(line, wait_ms, kLineBytesMax));
    if (feed == Feed::line && !line.empty()) {
      VARVE_TRY(std::string key, key_of_line(line, {lines.name(), "line", lines.line_number()}));
      batch.push_back(std::move(key));
    }
    wait_ms = feed == Feed::pending ? -1 : kBatchWaitMs;
    if (feed != Feed::line || batch.size() == kBatchRows) {
      VARVE_CHECK(delete_batch(index, batch, acknowledgements));
    }
    if (feed == Feed::end) return {};
  }
}

Result<int> delete_rows(const Settings& settings, const DeleteArguments& arguments) {
  if (arguments.keys.empty() == arguments.keys_file.empty()) {
    return fail(ErrorKind::invalid, "delete needs either keys or --keys-file");
  }
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  const BatchesUnderWay batches;
  Acknowledgements acknowledgements(settings);
  const Status status = delete_keys(*open.index, arguments, acknowledgements);
  open.index->close();
  return acknowledgements.end(status, "given");
}

}  // namespace

void add_write_verbs(const VerbTable& verbs) {
  CLI::App* put = verbs.app.add_subcommand(
      "put", R"(Write rows {"key","vector","metadata"}; -o jsonl acknowledges each batch)");
  auto rows = std::make_shared<PutArguments>();
  put->add_option("INDEX", rows->name, "bucket/index")->required();
  put->add_option("FILE", rows->file,
                  "JSONL or any file of import; - for standard input (default)");
  put->add_option("--format", rows->format, "As for import");
  put->callback([verbs, rows] {
    verbs.chosen = [&settings = verbs.settings, rows] { return put_rows(settings, *rows); };
  });

  CLI::App* remove = verbs.app.add_subcommand("delete", "Delete vectors by key");
  auto keys = std::make_shared<DeleteArguments>();
  remove->add_option("INDEX", keys->name, "bucket/index")->required();
  remove->add_option("KEY", keys->keys, "Keys; those that do not exist are no error")
      ->expected(1, -1);
  remove->add_option("--keys-file", keys->keys_file,
                     R"(One key, or one {"key":...}, a line; - for standard input)");
  remove->callback([verbs, keys] {
    verbs.chosen = [&settings = verbs.settings, keys] { return delete_rows(settings, *keys); };
  });
}

}  // namespace varve::cli
