#include "cli/query_file.h"

#include <fmt/format.h>

#include "base/result.h"
#include "cli/files/vector_file.h"

namespace varve::cli {

Result<std::vector<std::vector<float>>> read_queries(const std::string& path,
                                                     const std::string& format, std::uint64_t limit,
                                                     const IndexConfig& config) {
  VectorFileOptions options;
  options.rules = {.dim = config.dim, .reject_zero = config.metric == Metric::cosine};
  if (!format.empty()) {
    VARVE_TRY(options.format, parse_format(format));
  }
  VARVE_TRY(const auto rows, open_vector_file(path, options));
  std::vector<std::vector<float>> queries;
  VectorRecord record;
  while (limit == 0 || queries.size() < limit) {
    VARVE_TRY(const bool more, rows->next(record));
    if (!more) break;
    queries.push_back(record.vector);
  }
  if (queries.empty()) {
    return fail(ErrorKind::invalid, fmt::format("file '{}' holds no rows", path));
  }
  return queries;
}

}  // namespace varve::cli
