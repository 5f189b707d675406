#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/exit_code.h"
#include "cli/files/formats.h"
#include "cli/files/json_row.h"
#include "cli/files/vector_file.h"
#include "cli/output.h"
#include "cli/query_flags.h"
#include "cli/query_json.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

// Of metadata in a table.
constexpr std::size_t kMetadataCharacters = 100;

struct Arguments {
  std::string name;
  std::string vector;
  std::string like;
  QueryFlags flags;
};

Result<std::vector<float>> vector_of_json(std::string_view text) {
  std::vector<float> vector;
  JsonRowParser parser;
  VARVE_CHECK(parser.parse_vector(text, vector));
  return vector;
}

Result<std::vector<float>> vector_of_json_file(const std::string& path) {
  VARVE_TRY(OpenedFile file, open_bytes(path));
  ByteReader in(std::move(file.bytes), path);
  std::string text(kLineBytesMax, '\0');
  VARVE_TRY(const std::size_t size, in.read(std::as_writable_bytes(std::span(text))));
  text.resize(size);
  VARVE_TRY(const bool end, in.at_end());
  if (!end) return fail(ErrorKind::invalid, fmt::format("file '{}' is larger than 1 MiB", path));
  auto vector = vector_of_json(text);
  if (!vector) return tl::unexpected(vector.error().with_context(fmt::format("file '{}'", path)));
  return vector;
}

Result<std::vector<float>> vector_of_file(const std::string& path) {
  if (path == "-" || path.ends_with(".json")) return vector_of_json_file(path);
  if (auto known = format_of(path); !known) {
    known.error().hint = "one vector in a .json, .npy, .fvecs, .bvecs, .jsonl or .txt file";
    return tl::unexpected(known.error());
  }
  VARVE_TRY(const auto rows, open_vector_file(path, {}));
  VectorRecord record, second;
  VARVE_TRY(const bool first, rows->next(record));
  if (!first) return fail(ErrorKind::invalid, fmt::format("file '{}' holds no vector", path));
  VARVE_TRY(const bool more, rows->next(second));
  if (!more) return std::move(record.vector);
  return fail(ErrorKind::invalid, fmt::format("file '{}' holds more than one vector", path));
}

Result<QueryResult> query_like(Index& index, const std::string& key, QueryOptions options) {
  const std::vector<std::string> keys{key};
  VARVE_TRY(const auto records, index.get(keys));
  if (!records[0]) {
    return fail(ErrorKind::not_found, fmt::format("key '{}' not found in index '{}'",
                                                  one_line(key, 80), index.name().str()));
  }
  // One more, since the nearest neighbour of a vector is itself.
  const std::uint32_t k = options.k;
  options.k = k + 1;
  VARVE_TRY(QueryResult result, index.query(records[0]->vector, options));
  std::erase_if(result.hits, [&](const Hit& hit) { return hit.key == key; });
  if (result.hits.size() > k) result.hits.resize(k);
  return result;
}

Result<QueryResult> query(Index& index, const Arguments& arguments, const QueryOptions& options) {
  if (!arguments.like.empty()) return query_like(index, arguments.like, options);
  const bool in_file = arguments.vector.starts_with('@');
  VARVE_TRY(const auto vector, in_file ? vector_of_file(arguments.vector.substr(1))
                                       : vector_of_json(arguments.vector));
  return index.query(vector, options);
}

std::string hits_table(const QueryResult& result) {
  Table table({{"#", Table::Align::right},
               {"key", Table::Align::left},
               {"distance", Table::Align::right},
               {"metadata", Table::Align::left}});
  for (std::size_t i = 0; i < result.hits.size(); ++i) {
    const Hit& hit = result.hits[i];
    table.add({std::to_string(i + 1), hit.key, fmt::format("{:.6g}", hit.distance),
               one_line(hit.metadata, kMetadataCharacters)});
  }
  return table.text();
}

Result<int> run_query(const Settings& settings, const Arguments& arguments) {
  if (arguments.vector.empty() && arguments.like.empty()) {
    return fail(ErrorKind::invalid, "query needs --vector or --like");
  }
  if (!arguments.vector.empty() && !arguments.like.empty()) {
    return fail(ErrorKind::invalid, "query takes only one of --vector and --like");
  }
  VARVE_TRY(const QueryOptions options, arguments.flags.options());
  // The vector itself takes one of the places.
  if (!arguments.like.empty() && options.k == kTopKMax) {
    return fail(ErrorKind::invalid,
                fmt::format("-k {} with --like is not in 1 to {}", kTopKMax, kTopKMax - 1));
  }
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  VARVE_TRY(const QueryResult result, query(*open.index, arguments, options));
  if (settings.output == OutputMode::jsonl) {
    for (const Hit& hit : result.hits) print_line(hit_json(hit));
    return kExitDone;
  }
  if (settings.output == OutputMode::json) {
    print_line(result_json(result));
    return kExitDone;
  }
  print_document(settings, {}, hits_table(result));
  const Performance& cost = result.performance;
  note(settings,
       fmt::format("{} hits, {}, {:.2f} ms, {} rows scanned in {} clusters, {} in the log",
                   result.hits.size(), certainty_name(cost.certainty), cost.total_us / 1000,
                   grouped(cost.rows_scanned), cost.nprobe, grouped(cost.tail_rows)));
  return kExitDone;
}

}  // namespace

void add_query_verb(const VerbTable& verbs) {
  CLI::App* command = verbs.app.add_subcommand("query", "Find the nearest vectors");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("INDEX", arguments->name, "bucket/index")->required();
  command->add_option("--vector", arguments->vector,
                      "JSON array; @FILE with one vector (.npy, .fvecs, ..., .json); @- for JSON "
                      "on standard input");
  command->add_option("--like", arguments->like,
                      "The vector of this key, which is not among the hits; -k is at most 9999");
  QueryFlags::declare(*command, arguments->flags);
  command->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return run_query(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
