// What the small configuration holds in its few megabytes, and whether these are true.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "cli/cache_bench/caches.h"
#include "cli/cache_bench/zipf_load.h"

namespace varve::cli {
namespace cache_bench {
namespace {

using cache::EfficientVectorStorage;
using cache::VectorStorageOptions;
using Figures = nlohmann::json;

constexpr std::size_t kHundred = 100;
constexpr std::size_t kMany = 3000;
constexpr std::uint64_t kTierBytes = std::uint64_t{64} << 20;

VectorStorageOptions small_options(const std::string& folder) {
  VectorStorageOptions options;
  options.folder = folder + "/disk";
  options.store = folder + "/store";
  return options;
}

// Bytes of a line of /proc/self/status.
std::uint64_t own_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == name && status >> kib) return kib * 1024;
  }
  return 0;
}

Result<int> print_own_memory(std::uint64_t charged) {
  const Figures figures{{"rss_bytes", own_bytes("VmRSS:")},
                        {"anonymous_bytes", own_bytes("RssAnon:")},
                        {"charged_bytes", charged}};
  std::puts(figures.dump().c_str());
  return 0;
}

Result<int> with_vectors(const std::string& folder, std::size_t vectors) {
  VARVE_TRY(const auto storage, EfficientVectorStorage::open(small_options(folder)));
  for (std::size_t i = 0; i < vectors; ++i) {
    VARVE_CHECK(storage->put(fmt::format("vector/{}", i), drawn_vector(i, kCacheDim)));
  }
  for (std::size_t i = 0; i < 3 * vectors; ++i) {
    VARVE_CHECK(storage->get(fmt::format("vector/{}", i * 7 % vectors)));
  }
  const auto stats = storage->stats();
  return print_own_memory(stats.tiers[0].stats.resident_bytes +
                          stats.tiers[1].stats.resident_bytes);
}

Result<int> with_tier() {
  const auto tier = ram_tier(kTierBytes);
  const std::vector<float> vector = drawn_vector(1, kCacheDim);
  const auto value = cache::Handle::copy_of(std::as_bytes(std::span(vector)));
  for (std::size_t i = 0; i < 2 * kTierBytes / kCacheVectorBytes; ++i) {
    tier->put(cache::Key(fmt::format("vector/{}", i)), value, {});
  }
  return print_own_memory(tier->stats().resident_bytes);
}

std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Runs this program again, since only a fresh process shows what it needs.
Result<Figures> measure_process(const CacheBench& bench, const std::string& what) {
  const std::string folder = bench.folder + "/process-" + what;
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::create_directories(folder, ignored);
  const std::string command = fmt::format("{} bench cache --measured-process {} --folder {}",
                                          quoted(bench.program), what, quoted(folder));
  std::FILE* const output = ::popen(command.c_str(), "re");
  if (output == nullptr) return fail(ErrorKind::unavailable, "no process can be started");
  char line[512] = {};
  const bool has_line = std::fgets(line, sizeof(line), output) != nullptr;
  const int status = ::pclose(output);
  std::filesystem::remove_all(folder, ignored);
  Figures figures = Figures::parse(has_line ? line : "", nullptr, false);
  if (status != 0 || !figures.is_object()) {
    return fail(ErrorKind::internal, fmt::format("the process '{}' failed", what));
  }
  return figures;
}

double difference(const Figures& more, const Figures& less, const char* name) {
  return more.at(name).get<double>() - less.at(name).get<double>();
}

}  // namespace

Rows measure_small_memory(const CacheBench& bench, const std::string& name) {
  VARVE_TRY(const Figures bare, measure_process(bench, "bare"));
  CacheRow row{name, 0, 0, {}, 0, "a process with all tiers open, less a bare process", {}};
  for (const char* what : {"open", "hundred", "full"}) {
    VARVE_TRY(const Figures with, measure_process(bench, what));
    row.more.emplace_back(fmt::format("{}_rss_bytes", what), difference(with, bare, "rss_bytes"));
    row.more.emplace_back(fmt::format("{}_anonymous_bytes", what),
                          difference(with, bare, "anonymous_bytes"));
    row.more.emplace_back(fmt::format("{}_charged_bytes", what),
                          with.at("charged_bytes").get<double>());
  }
  row.more.emplace_back("bare_rss_bytes", bare.at("rss_bytes").get<double>());
  return std::vector<CacheRow>{row};
}

Rows measure_resident_truth(const CacheBench& bench, const std::string& name) {
  VARVE_TRY(const Figures bare, measure_process(bench, "bare"));
  VARVE_TRY(const Figures with, measure_process(bench, "tier"));
  const double charged = with.at("charged_bytes").get<double>();
  const double real = difference(with, bare, "anonymous_bytes");
  CacheRow row{name, 0, 0, {}, 0, "a full tier of 64 MiB: what it says and what the kernel says",
               {}};
  row.more = {{"resident_bytes", charged}, {"anonymous_bytes", real}, {"truth", charged / real}};
  return std::vector<CacheRow>{row};
}

Rows measure_hit_ratio(const CacheBench& bench, const std::string& name) {
  ZipfLoad load;
  const std::string folder = bench.folder + "/" + name;
  load.options = small_options(folder);
  load.dim = kCacheDim;
  load.keys = 3 * load.options.hot_bytes / kCacheVectorBytes;
  load.warm_up = load.gets = 200'000;
  std::string about = "1536 floats a vector, first tier 1 MB, three times that in vectors";
  if (name == "wide_l1_hit_ratio") {
    load.options.hot_bytes = load.options.hot_bytes * 5 / 2;
    about = "the same vectors, first tier 2.5 MB";
  } else if (name == "small_values_l1_hit_ratio") {
    constexpr std::uint64_t kEntryBytes = 375;  // as it is charged
    load.dim = 32;
    load.keys = 300'000;
    load.options.hot_bytes = load.keys * kEntryBytes / 3;
    load.warm_up = load.gets = 2'000'000;
    load.options.policy = "w-tinylfu";
    about = "32 floats a vector, first tier for a third of the vectors, w-tinylfu";
  }
  VARVE_TRY(const ZipfAnswer answer, run_zipf(load));
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  CacheRow row{name, 0, 0, {}, 0, about, {}};
  row.more = {{"hit_ratio", answer.hits(0)},
              {"hit_ratio_bound", answer.bound},
              {"ram_hit_ratio", answer.hits(0) + answer.hits(1)},
              {"disk_hit_ratio", answer.hits(2)},
              {"store_reads", static_cast<double>(answer.store_reads())},
              {"keys", static_cast<double>(load.keys)},
              {"l1_items", static_cast<double>(answer.after.tiers[0].stats.items)},
              {"l1_bytes", static_cast<double>(load.options.hot_bytes)}};
  return std::vector<CacheRow>{row};
}

}  // namespace cache_bench

Result<int> measured_process(const std::string& what, const std::string& folder) {
  using namespace cache_bench;
  if (what == "bare") return print_own_memory(0);
  if (what == "open") return with_vectors(folder, 0);
  if (what == "hundred") return with_vectors(folder, kHundred);
  if (what == "full") return with_vectors(folder, kMany);
  if (what == "tier") return with_tier();
  return fail(ErrorKind::invalid, fmt::format("no process '{}'", what));
}

}  // namespace varve::cli
