#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/result.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

constexpr std::size_t kGetRows = 100;
constexpr std::uint32_t kListRows = 1000;

struct GetArguments {
  std::string name;
  std::vector<std::string> keys;
};

// Prints what exists and returns the keys that do not.
Result<std::vector<std::string>> print_records(const Settings& settings, Index& index,
                                               const std::vector<std::string>& keys) {
  std::vector<std::string> missing;
  const bool document = settings.output == OutputMode::json;
  const char* separator = R"({"vectors":[)";
  for (std::size_t i = 0; i < keys.size(); i += kGetRows) {
    const auto batch = std::span(keys).subspan(i, std::min(kGetRows, keys.size() - i));
    VARVE_TRY(const auto records, index.get(batch));
    for (std::size_t k = 0; k < batch.size(); ++k) {
      if (!records[k]) {
        missing.push_back(batch[k]);
        continue;
      }
      const std::string line = json_record(*records[k]);
      print_line(document ? separator + line : line);
      separator = ",";
    }
  }
  if (document) {
    const char* open = *separator == ',' ? "" : separator;
    print_line(fmt::format(R"({}],"missing":{}}})", open, json_text(Json(missing))));
  }
  return missing;
}

Result<int> get_rows(const Settings& settings, const GetArguments& arguments) {
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  VARVE_TRY(const auto missing, print_records(settings, *open.index, arguments.keys));
  if (missing.empty()) return kExitDone;
  return fail(
      ErrorKind::not_found,
      fmt::format("key '{}' not found in index '{}'{}", one_line(missing[0], 80), arguments.name,
                  missing.size() == 1 ? "" : fmt::format(", nor {} more", missing.size() - 1)));
}

struct ListArguments {
  std::string name;
  std::string start_after;
  std::uint64_t limit = 0;
};

Result<int> list_keys(const Settings& settings, const ListArguments& arguments) {
  VARVE_TRY(const OpenIndex open, open_index(settings, arguments.name));
  std::string after = arguments.start_after;
  std::uint64_t left = arguments.limit == 0 ? UINT64_MAX : arguments.limit;
  const char* separator = R"({"keys":[)";
  // Ends: each page starts behind the last one.
  while (left > 0) {
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, kListRows));
    VARVE_TRY(const KeyPage page, open.index->list(after, count));
    for (const std::string& key : page.keys) {
      switch (settings.output) {
        case OutputMode::table:
          print_line(escaped_controls(key));
          break;
        case OutputMode::jsonl:
          print_line(fmt::format(R"({{"key":{}}})", json_string(key)));
          break;
        case OutputMode::json:
          print_line(separator + json_string(key));
          break;
      }
      separator = ",";
    }
    left -= std::min<std::uint64_t>(left, page.keys.size());
    if (page.next.empty()) break;
    after = page.next;
  }
  if (settings.output == OutputMode::json) {
    print_line(fmt::format("{}]}}", *separator == ',' ? "" : separator));
  }
  return kExitDone;
}

}  // namespace

void add_read_verbs(const VerbTable& verbs) {
  CLI::App* get = verbs.app.add_subcommand("get", "Show vectors by key");
  auto keys = std::make_shared<GetArguments>();
  get->add_option("INDEX", keys->name, "bucket/index")->required();
  get->add_option("KEY", keys->keys, "Keys")->required()->expected(1, -1);
  get->callback([verbs, keys] {
    verbs.chosen = [&settings = verbs.settings, keys] { return get_rows(settings, *keys); };
  });

  CLI::App* list = verbs.app.add_subcommand("list", "List all keys in byte order");
  auto range = std::make_shared<ListArguments>();
  list->add_option("INDEX", range->name, "bucket/index")->required();
  list->add_option("--start-after", range->start_after, "Only keys behind this one");
  list->add_option("--limit", range->limit, "At most so many keys");
  list->callback([verbs, range] {
    verbs.chosen = [&settings = verbs.settings, range] { return list_keys(settings, *range); };
  });
}

}  // namespace varve::cli
