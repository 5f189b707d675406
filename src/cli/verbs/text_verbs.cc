#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/confirm.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/query_flags.h"
#include "cli/query_json.h"
#include "cli/signals.h"
#include "cli/text_output.h"
#include "cli/verbs/verbs.h"
#include "varve/text.h"

namespace varve::cli {
namespace {

struct IngestArguments {
  std::string name;
  std::vector<std::string> paths;
  text::IngestOptions options;
};

int report_ingest(const Settings& settings, const text::IngestReport& report) {
  note_files(settings, report);
  Json json{{"files", report.files},
            {"files_unchanged", report.files_unchanged},
            {"files_pruned", report.files_pruned},
            {"chunks_written", report.chunks_written},
            {"chunks_removed", report.chunks_removed},
            {"bytes", report.bytes}};
  const std::string table = field_lines(json);
  json["skipped"] = files_json(report.skipped);
  json["failed"] = files_json(report.failed);
  print_document(settings, json, table);
  if (exit_code_of_signal() != 0) return exit_code_of_signal();
  return report.failed.empty() ? kExitDone : kExitPartial;
}

// An index that is not there can be made anew without asking.
Status confirm_recreate(const Settings& settings, Database& database, const IndexName& name) {
  const auto index = database.open_index(name);
  if (!index && index.error().kind == ErrorKind::not_found) return {};
  return confirm_removal(settings, name.str());
}

Result<int> run_ingest(const Settings& settings, const IngestArguments& arguments) {
  VARVE_TRY(const IndexName name, parse_index_name(arguments.name));
  VARVE_TRY(auto database, open_or_create_database(settings));
  text::IngestOptions options = arguments.options;
  if (options.recreate) VARVE_CHECK(confirm_recreate(settings, *database, name));
  options.stop = [] { return exit_code_of_signal() != 0; };
  text::IngestReport report;
  {
    // A signal ends the run behind the file under way, with all its chunks stored.
    const BatchesUnderWay batches;
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

Result<int> run_search(const Settings& settings, const SearchArguments& arguments) {
  VARVE_TRY(const QueryOptions options, arguments.flags.options());
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  VARVE_TRY(const QueryResult result,
            text::search(*open.index, arguments.question, options, arguments.embedder));
  print_search(settings, result);
  if (result.hits.empty()) note(settings, "no hits");
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
                     "Characters that neighbours share (default an eighth of --chunk, up to 100)");
  ingest->add_option("--include", options.include, "Names to take in folders, such as '*.md'");
  ingest->add_flag("--recreate", options.recreate,
                   "Remove the index first; needs --yes like index rm");
  ingest->add_flag("--prune", options.prune,
                   "Remove what is stored of files below the folders that are gone");
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
}

}  // namespace varve::cli
