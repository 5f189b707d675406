#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/demo_texts.h"
#include "cli/exit_code.h"
#include "cli/text_output.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

// Two indexes, so that a question about the user's files is not answered from the samples.
constexpr const char* kSampleIndex = "demo/notes";
constexpr const char* kFilesIndex = "demo/files";

// As one word of a shell.
std::string quoted(const std::string& word) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:+=,@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

Result<text::IngestReport> ingest_for_demo(const Settings& settings, Database& database,
                                           const IndexName& name,
                                           const std::vector<std::string>& paths) {
  VARVE_TRY(const text::IngestReport report,
            paths.empty() ? text::ingest_documents(database, name, demo_texts(), {})
                          : text::ingest(database, name, paths, {}));
  note_files(settings, report);
  note(settings, fmt::format("   {} files, {} unchanged, {} chunks written", report.files,
                             report.files_unchanged, report.chunks_written));
  if (report.chunks_written == 0 && report.files_unchanged == 0) {
    return fail(ErrorKind::invalid, fmt::format("no text found in '{}'", paths.front()),
                "files of text such as .md, .txt, .html, or folders of them");
  }
  return report;
}

void note_next_steps(const Settings& settings, const std::string& index) {
  const std::string varve =
      settings.store_given ? fmt::format("varve --store {}", quoted(settings.store)) : "varve";
  note(settings, "next:");
  note(settings, fmt::format("   {} search {} \"bread that keeps\" -k 3", varve, index));
  note(settings,
       fmt::format("   {0} ingest demo/mine ./my-notes && {0} search demo/mine \"...\"", varve));
  note(settings,
       fmt::format("   {} index create demo/vectors --dim 128 --metric euclidean", varve));
}

Result<int> run_demo(const Settings& settings, const std::vector<std::string>& paths) {
  VARVE_TRY(const IndexName name, parse_index_name(paths.empty() ? kSampleIndex : kFilesIndex));
  const std::string question =
      paths.empty() ? "what did we decide about backups" : "how is data kept safe";
  VARVE_TRY(auto database, open_or_create_database(settings));
  note(settings,
       fmt::format("1. ingest {} into index '{}' of the store {}",
                   paths.empty() ? "eight short texts" : "your files", name.str(), settings.store));
  VARVE_TRY(const text::IngestReport report, ingest_for_demo(settings, *database, name, paths));
  note(settings, fmt::format("2. search for \"{}\"", question));
  VARVE_TRY(auto index, database->open_index(name));
  QueryOptions options;
  options.k = 3;
  VARVE_TRY(const QueryResult result, text::search(*index, question, options));
  print_search(settings, result);
  note_next_steps(settings, name.str());
  return report.failed.empty() ? kExitDone : kExitPartial;
}

}  // namespace

void add_demo_verb(const VerbTable& verbs) {
  CLI::App* demo = verbs.app.add_subcommand("demo", "Ingest a few texts and search them");
  auto paths = std::make_shared<std::vector<std::string>>();
  demo->add_option("PATH", *paths, "Files and folders to take instead")->expected(1, -1);
  add_cache_demo(*demo, verbs);
  demo->callback([verbs, paths, demo] {
    // Its own callback has run already.
    if (demo->got_subcommand("cache")) return;
    verbs.chosen = [&settings = verbs.settings, paths] { return run_demo(settings, *paths); };
  });
}

}  // namespace varve::cli
