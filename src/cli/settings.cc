#include "cli/settings.h"

#include "base/result.h"

namespace varve::cli {

Result<std::unique_ptr<Database>> open_database(const Settings& settings,
                                                std::uint32_t compute_threads) {
  DatabaseOptions options;
  options.timeout = settings.timeout;
  options.compute_threads = compute_threads;
  options.fold_ops_min = settings.fold_ops_min;
  return Database::open(settings.store, options);
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
