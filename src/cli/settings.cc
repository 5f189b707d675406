#include "cli/settings.h"

#include "base/result.h"

namespace varve::cli {

namespace {

DatabaseOptions options_of(const Settings& settings) {
  DatabaseOptions options;
  options.timeout = settings.timeout;
  options.fold_ops_min = settings.fold_ops_min;
  return options;
}

}  // namespace

Result<std::unique_ptr<Database>> open_database(const Settings& settings,
                                                std::uint32_t compute_threads) {
  DatabaseOptions options = options_of(settings);
  options.compute_threads = compute_threads;
  options.create_if_missing = false;
  auto database = Database::open(settings.store, options);
  if (!database && database.error().kind == ErrorKind::not_found) {
    database.error().hint = "index create, ingest and demo make one; --store names another";
  }
  return database;
}

Result<std::unique_ptr<Database>> open_or_create_database(const Settings& settings) {
  return Database::open(settings.store, options_of(settings));
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
