// `varve cache ...`: what is kept of the store, and what should be.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "base/result.h"
#include "cli/duration.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

struct Arguments {
  std::string name;
  std::optional<std::string> ttl;
  bool codes_only = false;
};

Result<OpenIndex> open_cached(const Settings& settings, const std::string& name) {
  VARVE_TRY(const IndexName parsed, parse_index_name(name));
  OpenIndex open;
  VARVE_TRY(open.database, open_database_and_cache(settings));
  VARVE_TRY(open.index, open.database->open_index(parsed));
  return open;
}

Json tier_json(const CacheTierStatus& tier) {
  return Json{{"tier", tier.name},
              {"available", tier.available},
              {"items", tier.items},
              {"value_bytes", tier.value_bytes},
              {"raw_bytes", tier.raw_bytes},
              {"resident_bytes", tier.resident_bytes},
              {"disk_bytes", tier.disk_bytes},
              {"capacity_bytes", tier.capacity_bytes},
              {"pinned_items", tier.pinned_items},
              {"pinned_bytes", tier.pinned_bytes},
              {"hits", tier.hits},
              {"misses", tier.misses},
              {"evicted", tier.evicted},
              {"expired", tier.expired},
              {"rejected", tier.rejected},
              {"errors", tier.errors},
              {"corrupt", tier.corrupt}};
}

// Others use it too, and to search it may take minutes.
bool is_searched(const CacheTierStatus& tier) { return tier.name != "redis"; }

Json indexes_json(const CacheStatus& status) {
  Json indexes = Json::array();
  for (const CacheStatus::OfIndex& of : status.indexes) {
    Json bytes = Json::object();
    for (std::size_t i = 0; i < of.bytes.size(); ++i) {
      if (is_searched(status.tiers[i])) bytes[status.tiers[i].name] = of.bytes[i];
    }
    indexes.push_back(Json{{"name", of.name.str()}, {"bytes", bytes}});
  }
  return indexes;
}

std::string limit_text(std::uint64_t bytes) { return bytes == 0 ? "none" : bytes_text(bytes); }

std::string tiers_text(const CacheStatus& status) {
  using Align = Table::Align;
  Table table({{"tier", Align::left},
               {"items", Align::right},
               {"kept", Align::right},
               {"raw/kept", Align::right},
               {"memory", Align::right},
               {"disk", Align::right},
               {"limit", Align::right},
               {"pinned", Align::right},
               {"state", Align::left}});
  std::vector<CacheTierStatus> tiers = status.tiers;
  if (status.answers) tiers.insert(tiers.begin(), *status.answers);
  for (const CacheTierStatus& tier : tiers) {
    const double ratio = tier.value_bytes == 0 ? 1
                                               : static_cast<double>(tier.raw_bytes) /
                                                     static_cast<double>(tier.value_bytes);
    table.add({tier.name, grouped(tier.items), bytes_text(tier.value_bytes),
               fmt::format("{:.2f}", ratio), bytes_text(tier.resident_bytes),
               bytes_text(tier.disk_bytes), limit_text(tier.capacity_bytes),
               bytes_text(tier.pinned_bytes), tier.available ? "ok" : "off after failures"});
  }
  return table.text();
}

std::string indexes_text(const CacheStatus& status) {
  if (status.indexes.empty()) return {};
  std::vector<Table::Column> columns{{"index", Table::Align::left}};
  for (const CacheTierStatus& tier : status.tiers) {
    columns.push_back({tier.name, Table::Align::right});
  }
  Table table(std::move(columns));
  for (const CacheStatus::OfIndex& of : status.indexes) {
    std::vector<std::string> cells{of.name.str()};
    for (std::size_t i = 0; i < of.bytes.size(); ++i) {
      cells.push_back(is_searched(status.tiers[i]) ? bytes_text(of.bytes[i]) : "-");
    }
    table.add(std::move(cells));
  }
  return "\n" + table.text();
}

std::string counters_text(const CacheStatus& status) {
  return fmt::format(
      "\nof this process, which has just begun: {} loads ({} failed, {} shared), {} promotions ({} "
      "dropped), {} demotions ({} dropped)\n",
      status.loads, status.load_errors, status.loads_shared, status.promotions,
      status.promotions_dropped, status.demotions, status.demotions_dropped);
}

Result<int> show_status(const Settings& settings, const Arguments&) {
  VARVE_TRY(auto database, open_database_and_cache(settings));
  VARVE_TRY(const CacheStatus status, database->cache_status(true));
  Json tiers = Json::array();
  for (const CacheTierStatus& tier : status.tiers) tiers.push_back(tier_json(tier));
  const Json json{{"tiers", tiers},
                  {"answers", status.answers ? tier_json(*status.answers) : Json()},
                  {"loads", status.loads},
                  {"load_errors", status.load_errors},
                  {"loads_shared", status.loads_shared},
                  {"clusters_prefetched", status.clusters_prefetched},
                  {"promotions", status.promotions},
                  {"promotions_dropped", status.promotions_dropped},
                  {"demotions", status.demotions},
                  {"demotions_dropped", status.demotions_dropped},
                  {"indexes", indexes_json(status)}};
  print_document(settings, json, tiers_text(status) + indexes_text(status) + counters_text(status));
  return kExitDone;
}

// Writes lie in the log until they are folded, and the log is in memory anyway.
void say_why_nothing(const Settings& settings, std::uint64_t bytes) {
  if (bytes > 0) return;
  note(settings, "nothing is in clusters yet: `varve index compact` brings it there");
}

// Without it, what a command does to the cache ends with the command.
void hint_at_folder(const Settings& settings) {
  if (!settings.cache.disk_dir.empty() || !settings.cache.redis_url.empty()) return;
  note(settings, "only this process profits: --cache FOLDER keeps it for the next ones");
}

Result<int> warm(const Settings& settings, const Arguments& arguments) {
  VARVE_TRY(const OpenIndex open, open_cached(settings, arguments.name));
  std::uint64_t bytes = 0;
  {
    ProgressPrinter progress("warm " + arguments.name, progress_style(settings.progress),
                             base::system_clock());
    VARVE_TRY(bytes, open.index->warm(progress.sink()));
  }
  const Json json{{"index", arguments.name}, {"bytes", bytes}};
  print_document(settings, json, field_lines(json));
  say_why_nothing(settings, bytes);
  hint_at_folder(settings);
  return kExitDone;
}

Result<int> pin(const Settings& settings, const Arguments& arguments) {
  std::chrono::seconds ttl{0};
  if (arguments.ttl) {
    VARVE_TRY(const auto parsed, parse_duration(*arguments.ttl));
    ttl =
        std::max(std::chrono::seconds(1), std::chrono::duration_cast<std::chrono::seconds>(parsed));
  }
  VARVE_TRY(const OpenIndex open, open_cached(settings, arguments.name));
  PinReport report;
  {
    ProgressPrinter progress("pin " + arguments.name, progress_style(settings.progress),
                             base::system_clock());
    VARVE_TRY(report, open.index->pin({ttl, arguments.codes_only, progress.sink()}));
  }
  const Json json{{"index", arguments.name},
                  {"pinned_bytes", report.bytes},
                  {"sections_not_on_disk", report.sections_not_on_disk}};
  print_document(settings, json, field_lines(json));
  say_why_nothing(settings, report.bytes);
  if (report.sections_not_on_disk > 0) {
    note(settings, "the disk has no room for all of it: half of --cache-disk can be pinned");
  }
  hint_at_folder(settings);
  return kExitDone;
}

Result<int> unpin(const Settings& settings, const Arguments& arguments) {
  VARVE_TRY(const OpenIndex open, open_cached(settings, arguments.name));
  VARVE_TRY(const std::uint64_t sections, open.index->unpin());
  const Json json{{"index", arguments.name}, {"unpinned_sections", sections}};
  print_document(settings, json, field_lines(json));
  return kExitDone;
}

Result<int> evict(const Settings& settings, const Arguments& arguments) {
  VARVE_TRY(const OpenIndex open, open_cached(settings, arguments.name));
  VARVE_TRY(const std::uint64_t bytes, open.index->evict());
  const Json json{{"index", arguments.name}, {"evicted_bytes", bytes}};
  print_document(settings, json, field_lines(json));
  return kExitDone;
}

using Run = Result<int> (*)(const Settings&, const Arguments&);

std::shared_ptr<Arguments> choose(CLI::App& command, const VerbTable& verbs, Run run) {
  auto arguments = std::make_shared<Arguments>();
  command.callback([verbs, arguments, run] {
    verbs.chosen = [&settings = verbs.settings, arguments, run] {
      return run(settings, *arguments);
    };
  });
  return arguments;
}

CLI::App* add_on_index(CLI::App& group, const VerbTable& verbs, const char* name, const char* help,
                       Run run) {
  CLI::App* command = group.add_subcommand(name, help);
  const auto arguments = choose(*command, verbs, run);
  command->add_option("INDEX", arguments->name, "bucket/index")->required();
  if (run != pin) return command;
  // By a function: an empty text is one, not an option that was left out.
  command->add_option_function<std::string>(
      "--ttl", [arguments](const std::string& text) { arguments->ttl = text; },
      "How long, such as 30m, 12h or 7d (default no end)");
  command->add_flag("--codes-only", arguments->codes_only,
                    "Only what queries with --codes-only read: codes in memory, keys on disk");
  return command;
}

}  // namespace

void add_cache_verbs(const VerbTable& verbs) {
  CLI::App* group = verbs.app.add_subcommand("cache", "What is kept of the store near at hand");
  group->require_subcommand(1);
  choose(*group->add_subcommand("status", "Tiers, what they hold, and of which index"), verbs,
         show_status);
  add_on_index(*group, verbs, "warm", "Bring an index into the cache", warm);
  add_on_index(*group, verbs, "pin", "Bring an index into the cache and keep it there", pin);
  add_on_index(*group, verbs, "unpin", "Let the cache decide again", unpin);
  add_on_index(*group, verbs, "evict", "Remove an index from the cache; the store keeps it", evict);
}

}  // namespace varve::cli
