// What the global flags say, and what a verb is.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "varve/database.h"

namespace CLI {
class App;
}

namespace varve::cli {

enum class OutputMode { table, json, jsonl };

struct Settings {
  std::string store;
  bool store_given = false;  // by --store
  OutputMode output = OutputMode::table;
  bool markdown = false;  // how tables look
  bool quiet = false;
  bool progress = true;
  bool yes = false;
  std::chrono::milliseconds timeout{60'000};
  std::uint64_t fold_ops_min = DatabaseOptions().fold_ops_min;
  CacheOptions cache;

  bool is_json() const { return output != OutputMode::table; }
};

// Runs what the command line asks for. The value is the exit code.
using Command = std::function<Result<int>()>;

// What the verbs are registered on. `settings` is filled by the time a command runs.
struct VerbTable {
  CLI::App& app;
  const Settings& settings;
  Command& chosen;
  bool& takes_markdown;  // set with `chosen` by a verb whose tables may be Markdown
};

// An open index with the database that owns its store.
struct OpenIndex {
  std::unique_ptr<Database> database;
  std::shared_ptr<Index> index;
};

// `not_found`: there is no such store. `compute_threads`: as in DatabaseOptions.
Result<std::unique_ptr<Database>> open_database(const Settings& settings,
                                                std::uint32_t compute_threads = 0);
// The same for verbs that make an index, and the store with it.
Result<std::unique_ptr<Database>> open_or_create_database(const Settings& settings);
// For verbs about the cache itself, which without its folder would do nothing that lasts:
// `conflict` if another process has it.
Result<std::unique_ptr<Database>> open_database_and_cache(const Settings& settings);
// `name` is "bucket/index".
Result<OpenIndex> open_index(const Settings& settings, const std::string& name,
                             std::uint32_t compute_threads = 0);

}  // namespace varve::cli
