// `varve demo cache`: what the cache for vectors does, in ten seconds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <cstdlib>

#include "base/clock.h"
#include "base/result.h"
#include "cli/bench_cache.h"
#include "cli/cache_bench/caches.h"
#include "cli/cache_bench/zipf_load.h"
#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/scratch_folder.h"
#include "cli/verbs/verbs.h"
#include "varve/cache/compress.h"

namespace varve::cli {
namespace {

using Align = Table::Align;

constexpr std::size_t kBarCells = 32;
// Four times what both tiers in memory hold.
constexpr std::size_t kKeys = 2500;
constexpr std::size_t kWarmUp = 100'000;
constexpr std::size_t kGets = 400'000;

// A bar of eighths of cells.
std::string bar(double share) {
  static constexpr std::array kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<std::size_t>(
      std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(kBarCells * 8)));
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  return text + kEighths[eighths % 8];
}

struct Part {
  Json rows = Json::array();
  std::string text;
};

CodecSet of_first(const CodecSet& set, std::size_t vectors) {
  CodecSet first{set.name, set.vector_bytes, {}};
  const std::size_t bytes = std::min(set.count(), vectors) * set.vector_bytes;
  first.bytes.assign(set.bytes.begin(), set.bytes.begin() + static_cast<long>(bytes));
  return first;
}

double compression_of(const CodecSet& set,
                      const std::function<cache::Handle(const cache::Handle&)>& encode) {
  std::size_t stored = 0;
  for (std::size_t i = 0; i < set.count(); ++i) {
    stored += encode(cache::Handle::copy_of(set.vector(i))).bytes().size();
  }
  return static_cast<double>(set.bytes.size()) / static_cast<double>(stored);
}

Part show_compression(const CodecSet& vectors) {
  constexpr std::size_t kVectors = 32;
  std::vector<CodecSet> sets{of_first(vectors, kVectors)};
  for (const CodecSet& made : synthetic_codec_sets()) {
    if (made.name == vectors.name || vectors.name.ends_with(made.name)) continue;
    sets.push_back(of_first(made, kVectors));
  }
  Part part;
  Table table({{"vectors of 1536 floats", Align::left},
               {"raw/stored", Align::right},
               {"zstd-3", Align::right}});
  for (const CodecSet& set : sets) {
    const double best = compression_of(set, cache::compressed());
    const double zstd = compression_of(set, cache_bench::by_zstd);
    part.rows.push_back(
        Json{{"vectors", set.name}, {"compression", best}, {"zstd3_compression", zstd}});
    table.add({set.name, fmt::format("{:.2f}", best), fmt::format("{:.2f}", zstd)});
  }
  part.text =
      "1. compression without loss; real vectors save a seventh, other figures are special "
      "cases\n\n" +
      table.text();
  return part;
}

Result<Part> show_latency(const CacheBench& bench) {
  VARVE_TRY(const auto rows, measure_cache(bench, {"l1_1k", "l2_real", "l3_warm", "l3_cold"}));
  const auto title = [](const std::string& name) -> std::string {
    if (name == "l1_1k") return "L1 memory";
    if (name == "l2_real") return "L2 memory, compressed";
    if (name == "l3_warm") return "L3 disk, page cache";
    return name == "l3_cold" ? "L3 disk, cold" : "";
  };
  Part part;
  Table table({{"one hit", Align::left},
               {"p50", Align::right},
               {"p99", Align::right},
               {"log scale from 10 ns", Align::left}});
  const auto time_text = [](double ns) {
    return ns < 1000 ? fmt::format("{:.0f} ns", ns) : fmt::format("{:.1f} us", ns / 1000);
  };
  for (const CacheRow& row : rows) {
    if (title(row.name).empty()) continue;
    part.rows.push_back(Json{{"tier", title(row.name)},
                             {"case", row.name},
                             {"p50_ns", row.p50_ns},
                             {"p99_ns", row.p99_ns}});
    table.add({title(row.name), time_text(row.p50_ns), time_text(row.p99_ns),
               bar(std::log2(std::max(1.0, row.p50_ns / 10)) / (kBarCells / 2))});
  }
  part.text = "2. latency of each tier\n\n" + table.text();
  return part;
}

Part rates_of(const cache_bench::ZipfAnswer& answer) {
  Part part;
  Table table({{"answered by", Align::left},
               {"of gets", Align::right},
               {"", Align::left},
               {"vectors", Align::right},
               {"evicted", Align::right}});
  double rest = 1;
  const auto& tiers = answer.after.tiers;
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    const double share = answer.hits(i);
    rest -= share;
    part.rows.push_back(Json{{"tier", tiers[i].name},
                             {"hit_rate", share},
                             {"items", tiers[i].stats.items},
                             {"evicted", tiers[i].stats.evicted}});
    table.add({tiers[i].name, fmt::format("{:.2f} %", 100 * share), bar(share),
               grouped(tiers[i].stats.items), grouped(tiers[i].stats.evicted)});
  }
  rest = std::max(0.0, rest);
  part.rows.push_back(Json{{"tier", "store"}, {"hit_rate", rest}});
  table.add({"store", fmt::format("{:.2f} %", 100 * rest), bar(rest), "all", ""});
  part.text = table.text();
  return part;
}

Result<int> demo_cache(const Settings& settings) {
  const char* const data = std::getenv("VARVE_DATA");
  VARVE_TRY(const ScratchFolder scratch, ScratchFolder::make({}));
  CacheBench bench;
  VARVE_TRY(bench.vectors, cache_vectors(data != nullptr ? data : ""));
  bench.folder = scratch.path();
  cache_bench::ZipfLoad load;
  load.options.store = "memory://";
  load.options.folder = scratch.path() + "/disk";
  load.keys = kKeys;
  load.dim = kCacheDim;
  load.warm_up = kWarmUp;
  load.gets = kGets;
  Part compression, latency;
  cache_bench::ZipfAnswer answer;
  {
    ProgressPrinter progress("demo", progress_style(settings.progress), base::system_clock());
    const ProgressSink sink = progress.sink();
    if (sink) sink({"compress", 0, 1, "sets"});
    compression = show_compression(bench.vectors);
    bench.progress = sink;
    VARVE_TRY(latency, show_latency(bench));
    load.watch = [&sink](std::size_t done, const cache::LayeredStats&) {
      if (sink) sink({"zipf", done, kWarmUp + kGets, "gets"});
    };
    VARVE_TRY(answer, run_zipf(load));
  }
  const Part rates = rates_of(answer);
  const auto& after = answer.after;
  const std::string moves = fmt::format(
      "promotions {}, demotions {}, given up {}; store reads after the warm-up {}\n",
      grouped(after.promotions), grouped(after.demotions),
      grouped(after.promotions_dropped + after.demotions_dropped), grouped(answer.store_reads()));
  const std::string load_text = fmt::format(
      "3. {} gets of {} vectors (15 MB), Zipf 1.1; 1 MB memory, 3 MB compressed, disk, store\n\n",
      grouped(kGets), grouped(kKeys));
  print_document(
      settings,
      Json{{"demo", "cache"},
           {"machine", machine_json()},
           {"compression", compression.rows},
           {"latency", latency.rows},
           {"hit_rates", rates.rows},
           {"promotions", after.promotions},
           {"demotions", after.demotions},
           {"moves_dropped", after.promotions_dropped + after.demotions_dropped},
           {"store_reads", answer.store_reads()}},
      compression.text + "\n" + latency.text + "\n" + load_text + rates.text + "\n" + moves);
  note(settings, "next: varve bench cache, docs/cache.md");
  return kExitDone;
}

}  // namespace

void add_cache_demo(CLI::App& demo, const VerbTable& verbs) {
  demo.add_subcommand("cache", "Show the cache for vectors: compression, latency, hit rates")
      ->callback([verbs] {
        verbs.chosen = [&settings = verbs.settings] { return demo_cache(settings); };
      });
}

}  // namespace varve::cli
