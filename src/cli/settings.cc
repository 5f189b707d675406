#include "cli/settings.h"

#include <fmt/format.h>

#include "base/result.h"
#include "cli/output.h"

namespace varve::cli {

namespace {

DatabaseOptions options_of(const Settings& settings) {
  DatabaseOptions options;
  options.timeout = settings.timeout;
  options.fold_ops_min = settings.fold_ops_min;
  options.cache = settings.cache;
  return options;
}

// A folder that another process is using is no reason to refuse work: this one does without.
Result<std::unique_ptr<Database>> open_with_cache(const Settings& settings,
                                                  DatabaseOptions options) {
  auto database = Database::open(settings.store, options);
  const bool is_taken =
      !database && database.error().kind == ErrorKind::conflict && !options.cache.disk_dir.empty();
  if (!is_taken) return database;
  note(settings, fmt::format("another process uses the cache in '{}': going on without it",
                             options.cache.disk_dir));
  options.cache.disk_dir.clear();
  return Database::open(settings.store, options);
}

Result<std::unique_ptr<Database>> with_hint(Result<std::unique_ptr<Database>> database) {
  if (!database && database.error().kind == ErrorKind::not_found) {
    database.error().hint = "index create, ingest and demo make one; --store names another";
  }
  return database;
}

}  // namespace

Result<std::unique_ptr<Database>> open_database(const Settings& settings,
                                                std::uint32_t compute_threads) {
  DatabaseOptions options = options_of(settings);
  options.compute_threads = compute_threads;
  options.create_if_missing = false;
  return with_hint(open_with_cache(settings, options));
}

Result<std::unique_ptr<Database>> open_database_and_cache(const Settings& settings) {
  DatabaseOptions options = options_of(settings);
  options.create_if_missing = false;
  return with_hint(Database::open(settings.store, options));
}

Result<std::unique_ptr<Database>> open_or_create_database(const Settings& settings) {
  return open_with_cache(settings, options_of(settings));
}

Result<OpenIndex> open_index(const Settings& settings, const std::string& name,
                             std::uint32_t compute_threads) {
  VARVE_TRY(const IndexName parsed, parse_index_name(name));
  OpenIndex open;
  VARVE_TRY(open.database, open_database(settings, compute_threads));
  VARVE_TRY(open.index, open.database->open_index(parsed));
  return open;
}

}  // namespace varve::cli
