#include "cli/text_output.h"

#include <fmt/format.h>

#include "cli/query_json.h"

namespace varve::cli {
namespace {

// Of a chunk in a table.
constexpr std::size_t kSnippetCharacters = 160;

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

}  // namespace

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

Json files_json(const std::vector<text::SkippedFile>& files) {
  Json json = Json::array();
  for (const auto& [file, reason] : files) {
    json.push_back(Json{{"file", file}, {"reason", reason}});
  }
  return json;
}

void note_files(const Settings& settings, const text::IngestReport& report) {
  for (const auto& [what, files] :
       {std::pair("skipped", &report.skipped), {"failed", &report.failed}}) {
    for (const auto& [file, reason] : *files) {
      note(settings, fmt::format("{} '{}': {}", what, file, reason));
    }
  }
}

}  // namespace varve::cli
