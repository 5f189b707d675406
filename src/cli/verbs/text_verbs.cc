#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/demo_texts.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/query_flags.h"
#include "cli/query_json.h"
#include "cli/verbs/verbs.h"
#include "varve/text.h"

namespace varve::cli {
namespace {

// Of a chunk in a table.
constexpr std::size_t kSnippetCharacters = 160;

struct IngestArguments {
  std::string name;
  std::vector<std::string> paths;
  text::IngestOptions options;
};

Json files_json(const std::vector<text::SkippedFile>& files) {
  Json json = Json::array();
  for (const auto& [file, reason] : files) {
    json.push_back(Json{{"file", file}, {"reason", reason}});
  }
  return json;
}

void note_files(const Settings& settings, const char* what,
                const std::vector<text::SkippedFile>& files) {
  for (const auto& [file, reason] : files) {
    note(settings, fmt::format("{} '{}': {}", what, file, reason));
  }
}

int report_ingest(const Settings& settings, const text::IngestReport& report) {
  note_files(settings, "skipped", report.skipped);
  note_files(settings, "failed", report.failed);
  Json json{{"files", report.files},
            {"files_unchanged", report.files_unchanged},
            {"chunks_written", report.chunks_written},
            {"chunks_removed", report.chunks_removed},
            {"bytes", report.bytes}};
  const std::string table = field_lines(json);
  json["skipped"] = files_json(report.skipped);
  json["failed"] = files_json(report.failed);
  print_document(settings, json, table);
  return report.failed.empty() ? kExitDone : kExitPartial;
}

Result<int> run_ingest(const Settings& settings, const IngestArguments& arguments) {
  VARVE_TRY(const IndexName name, parse_index_name(arguments.name));
  VARVE_TRY(auto database, open_database(settings));
  text::IngestOptions options = arguments.options;
  text::IngestReport report;
  {
    ProgressPrinter progress("ingest " + arguments.name, progress_style(settings.progress),
                             base::system_clock());
    options.progress = progress.sink();
    VARVE_TRY(report, text::ingest(*database, name, arguments.paths, options));
  }
  return report_ingest(settings, report);
}

struct SearchArguments {
  std::string name;
  std::string question;
  std::string embedder = text::kDefaultEmbedder;
  QueryFlags flags;
};

std::string string_field(const Json& json, const char* field) {
  return json.is_object() && json.contains(field) && json[field].is_string()
             ? json[field].get<std::string>()
             : "";
}

void print_search_table(const QueryResult& result) {
  for (std::size_t i = 0; i < result.hits.size(); ++i) {
    const Hit& hit = result.hits[i];
    const Json metadata = Json::parse(hit.metadata, nullptr, false);
    const std::string title = string_field(metadata, "title");
    const std::string heading = string_field(metadata, "heading");
    print_line(fmt::format("{:2}. {:.3f}  {}  {}{}{}", i + 1, 1 - hit.distance,
                           one_line(hit.key, kKeyBytesMax), one_line(title, 80),
                           title.empty() || heading.empty() ? "" : " > ", one_line(heading, 80)));
    print_line("    " + one_line(string_field(metadata, "text"), kSnippetCharacters));
  }
}

void print_search(const Settings& settings, const QueryResult& result) {
  switch (settings.output) {
    case OutputMode::json:
      print_line(result_json(result));
      return;
    case OutputMode::jsonl:
      for (const Hit& hit : result.hits) print_line(hit_json(hit));
      return;
    case OutputMode::table:
      print_search_table(result);
      return;
  }
}

Result<int> run_search(const Settings& settings, const SearchArguments& arguments) {
  VARVE_TRY(const QueryOptions options, arguments.flags.options());
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  VARVE_TRY(const QueryResult result,
            text::search(*open.index, arguments.question, options, arguments.embedder));
  print_search(settings, result);
  if (result.hits.empty()) note(settings, "no hits");
  return kExitDone;
}

Result<int> run_demo(const Settings& settings, const std::vector<std::string>& paths) {
  const IndexName name{"demo", "notes"};
  const std::string question =
      paths.empty() ? "what did we decide about backups" : "how is data kept safe";
  VARVE_TRY(auto database, open_database(settings));
  note(settings,
       fmt::format("1. ingest {} into index '{}' of the store {}",
                   paths.empty() ? "eight short texts" : "your files", name.str(), settings.store));
  VARVE_TRY(const text::IngestReport report,
            paths.empty() ? text::ingest_documents(*database, name, demo_texts(), {})
                          : text::ingest(*database, name, paths, {}));
  note(settings, fmt::format("   {} files, {} unchanged, {} chunks written", report.files,
                             report.files_unchanged, report.chunks_written));
  note(settings, fmt::format("2. search for \"{}\"", question));
  VARVE_TRY(auto index, database->open_index(name));
  QueryOptions options;
  options.k = 3;
  VARVE_TRY(const QueryResult result, text::search(*index, question, options));
  print_search(settings, result);
  note(settings, "next:");
  note(settings, fmt::format("   varve search {} \"bread that keeps\" -k 3", name.str()));
  note(settings, "   varve ingest demo/mine ./my-notes && varve search demo/mine \"...\"");
  note(settings, "   varve index create demo/vectors --dim 128 --metric euclidean");
  return kExitDone;
}

void add_ingest(const VerbTable& verbs) {
  CLI::App* ingest =
      verbs.app.add_subcommand("ingest", "Cut text files into chunks, embed and store them");
  auto arguments = std::make_shared<IngestArguments>();
  text::IngestOptions& options = arguments->options;
  ingest->add_option("INDEX", arguments->name, "bucket/index; made if it does not exist")
      ->required();
  ingest->add_option("PATH", arguments->paths, "Files and folders")->required()->expected(1, -1);
  ingest->add_option("--embedder", options.embedder, "hash:DIM (default hash:384)");
  ingest->add_option("--chunk", options.chunks.target_characters,
                     "Characters of a chunk (default 800)");
  ingest->add_option("--overlap", options.chunks.overlap_characters,
                     "Characters that neighbours share (default 100)");
  ingest->add_option("--include", options.include, "Names to take in folders, such as '*.md'");
  ingest->add_flag("--recreate", options.recreate, "Remove the index first");
  ingest->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return run_ingest(settings, *arguments);
    };
  });
}

}  // namespace

void add_text_verbs(const VerbTable& verbs) {
  add_ingest(verbs);

  CLI::App* search = verbs.app.add_subcommand("search", "Find the chunks nearest to a question");
  auto question = std::make_shared<SearchArguments>();
  search->add_option("INDEX", question->name, "bucket/index")->required();
  search->add_option("QUESTION", question->question, "Words to search for")->required();
  search->add_option("--embedder", question->embedder, "As given to ingest (default hash:384)");
  QueryFlags::declare(*search, question->flags);
  search->callback([verbs, question] {
    verbs.chosen = [&settings = verbs.settings, question] {
      return run_search(settings, *question);
    };
  });

  CLI::App* demo = verbs.app.add_subcommand("demo", "Ingest a few texts and search them");
  auto paths = std::make_shared<std::vector<std::string>>();
  demo->add_option("PATH", *paths, "Files and folders to take instead")->expected(0, -1);
  demo->callback([verbs, paths] {
    verbs.chosen = [&settings = verbs.settings, paths] { return run_demo(settings, *paths); };
  });
}

}  // namespace varve::cli
