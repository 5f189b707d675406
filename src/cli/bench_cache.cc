#include "cli/bench_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/result.h"
#include "cli/cache_bench/caches.h"

namespace varve::cli {
namespace {

using cache_bench::Rows;

// What the figures are promised for.
constexpr const char* kRealFile =
    "treasury-openai3large-1536/poma_chunks__treasury_bulletin_1939_12.fvecs.gz";

struct Case {
  const char* name;
  Rows (*measure)(const CacheBench& bench, const std::string& name);
};
constexpr std::array kCases{
    Case{"l1_1k", cache_bench::measure_l1},
    Case{"l1_100k", cache_bench::measure_l1},
    Case{"l2_real", cache_bench::measure_l2},
    Case{"l2_constant", cache_bench::measure_l2},
    Case{"l3_warm", cache_bench::measure_l3},
    Case{"l3_cold", cache_bench::measure_l3},
    Case{"two_threads", cache_bench::measure_two_threads},
    Case{"small_config_rss", cache_bench::measure_small_memory},
    Case{"resident_truth", cache_bench::measure_resident_truth},
    Case{"small_config_l1_hit_ratio", cache_bench::measure_hit_ratio},
    Case{"wide_l1_hit_ratio", cache_bench::measure_hit_ratio},
    Case{"small_values_l1_hit_ratio", cache_bench::measure_hit_ratio},
};

std::string known_names() {
  std::string text;
  for (const Case& each : kCases) text += (text.empty() ? "" : ", ") + std::string(each.name);
  return text;
}

Result<std::string> file_in(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (fs::exists(fs::path(folder) / kRealFile, failed))
    return (fs::path(folder) / kRealFile).string();
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string name = entry.path().string();
    if (name.ends_with(".fvecs") || name.ends_with(".fvecs.gz")) files.push_back(name);
  }
  if (!files.empty()) return *std::min_element(files.begin(), files.end());
  return fail(ErrorKind::not_found, fmt::format("no vectors in '{}'", folder),
              fmt::format("a file, a folder with .fvecs files, or one with {}", kRealFile));
}

}  // namespace

Result<CodecSet> cache_vectors(const std::string& path) {
  if (path.empty()) {
    CodecSet made = synthetic_codec_sets().front();
    made.name = "synthetic: " + made.name;
    return made;
  }
  std::string file = path;
  std::error_code failed;
  if (std::filesystem::is_directory(path, failed)) {
    VARVE_TRY(file, file_in(path));
  }
  VARVE_TRY(CodecSet set, read_codec_set(file));
  if (set.vector_bytes == kCacheVectorBytes) return set;
  return fail(ErrorKind::invalid, fmt::format("'{}' has vectors of {} dimensions instead of {}",
                                              file, set.vector_bytes / sizeof(float), kCacheDim));
}

std::vector<std::string> cache_cases() {
  std::vector<std::string> names;
  for (const Case& each : kCases) names.emplace_back(each.name);
  return names;
}

Result<std::vector<CacheRow>> measure_cache(const CacheBench& bench,
                                            const std::vector<std::string>& names) {
  const auto is_known = [](const std::string& name) {
    return std::any_of(kCases.begin(), kCases.end(),
                       [&](const Case& each) { return name == each.name; });
  };
  for (const std::string& name : names) {
    if (is_known(name)) continue;
    return fail(ErrorKind::invalid, fmt::format("there is no case '{}'", name), known_names());
  }
  std::vector<CacheRow> rows;
  std::size_t done = 0;
  for (const Case& each : kCases) {
    const bool wanted =
        names.empty() || std::find(names.begin(), names.end(), each.name) != names.end();
    if (!wanted) continue;
    const std::size_t total = names.empty() ? kCases.size() : names.size();
    if (bench.progress) bench.progress({each.name, done++, total, "cases"});
    VARVE_TRY(auto measured, each.measure(bench, each.name));
    for (CacheRow& row : measured) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace varve::cli
