#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/confirm.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

struct CreateArguments {
  std::string name;
  std::uint32_t dim = 0;
  std::string metric;
  double code_bits = 1;
  std::string order = "similarity";
  bool exist_ok = false;
};

const char* order_name(ClusterOrder order) {
  return order == ClusterOrder::time ? "time" : "similarity";
}

const char* metric_name(Metric metric) { return metric == Metric::cosine ? "cosine" : "euclidean"; }

Result<int> create_index(const Settings& settings, const CreateArguments& arguments) {
  IndexConfig config{
      .dim = arguments.dim, .metric = Metric::euclidean, .code_bits = arguments.code_bits};
  if (arguments.metric == "cosine") {
    config.metric = Metric::cosine;
  } else if (arguments.metric != "euclidean") {
    return fail(ErrorKind::invalid, fmt::format("metric '{}' is not known", arguments.metric),
                "--metric euclidean or cosine");
  }
  if (arguments.order == "time") {
    config.order = ClusterOrder::time;
  } else if (arguments.order != "similarity") {
    return fail(ErrorKind::invalid, fmt::format("order '{}' is not known", arguments.order),
                "--order similarity or time");
  }
  if (config.dim == 0 || config.dim > kDimMax) {
    return fail(ErrorKind::invalid,
                fmt::format("dimension {} is not in 1 to {}", config.dim, kDimMax));
  }
  VARVE_TRY(const IndexName name, parse_index_name(arguments.name));
  VARVE_TRY(auto database, open_or_create_database(settings));
  VARVE_TRY(auto index, database->create_index(name, config, arguments.exist_ok));
  if (settings.is_json()) {
    print_line(json_text(Json{{"name", name.str()},
                              {"dim", config.dim},
                              {"metric", metric_name(config.metric)},
                              {"code_bits", index->config().code_bits},
                              {"order", order_name(config.order)}}));
  } else {
    note(settings, fmt::format("index '{}' has dimension {} and metric {}", name.str(), config.dim,
                               metric_name(config.metric)));
  }
  index->close();
  return kExitDone;
}

Json info_json(const IndexInfo& info) {
  Json json{{"name", info.name.str()},
            {"uuid", info.uuid},
            {"dim", info.config.dim},
            {"metric", metric_name(info.config.metric)},
            {"code_bits", info.config.code_bits},
            {"order", order_name(info.config.order)},
            {"vectors", info.vectors},
            {"row_type", info.row_type},
            {"clusters", info.clusters},
            {"parts", info.parts},
            {"stale_rows", info.stale_rows},
            {"cluster_rows_max", info.cluster_rows_max},
            {"cluster_rows_limit", info.cluster_rows_limit},
            {"tail_ops", info.tail_ops},
            {"stored_bytes", info.stored_bytes},
            {"log_bytes", info.log_bytes},
            {"version", info.version},
            {"epoch", info.epoch}};
  if (!info.background_error.empty()) json["background_error"] = info.background_error;
  return json;
}

Result<int> list_indexes(const Settings& settings) {
  VARVE_TRY(auto database, open_database(settings));
  VARVE_TRY(const auto names, database->list_indexes());
  Json rows = Json::array();
  using Align = Table::Align;
  Table table({{"name", Align::left},
               {"dim", Align::right},
               {"metric", Align::left},
               {"vectors", Align::right},
               {"stored MiB", Align::right}});
  int exit_code = kExitDone;
  for (const IndexName& name : names) {
    auto index = database->open_index(name);
    const auto info = index ? (*index)->info() : tl::unexpected(index.error());
    if (!info) {
      print_error(settings.output, info.error().with_context(name.str()));
      exit_code = kExitPartial;
      // Dropped by another process meanwhile, or there and not readable.
      if (info.error().kind == ErrorKind::not_found) continue;
      rows.push_back(Json{{"name", name.str()}, {"error", to_string(info.error().kind)}});
      table.add({name.str(), "-", std::string(to_string(info.error().kind)), "-", "-"});
      continue;
    }
    rows.push_back(info_json(*info));
    table.add({name.str(), std::to_string(info->config.dim), metric_name(info->config.metric),
               grouped(info->vectors),
               fmt::format("{:.1f}", static_cast<double>(info->stored_bytes) / (1024 * 1024))});
  }
  if (settings.output == OutputMode::jsonl) {
    for (const Json& row : rows) print_line(json_text(row));
  } else {
    print_document(settings, Json{{"indexes", rows}}, table.text());
  }
  return exit_code;
}

Result<int> show_info(const Settings& settings, const std::string& name) {
  VARVE_TRY(const OpenIndex open, open_index(settings, name));
  VARVE_TRY(const IndexInfo info, open.index->info());
  print_document(settings, info_json(info), field_lines(info_json(info)));
  return kExitDone;
}

Result<int> remove_index(const Settings& settings, const std::string& name) {
  VARVE_TRY(const IndexName parsed, parse_index_name(name));
  VARVE_CHECK(confirm_removal(settings, name));
  VARVE_TRY(auto database, open_database(settings));
  VARVE_CHECK(database->drop_index(parsed));
  if (settings.is_json())
    print_line(json_text(Json{{"removed", name}}));
  else
    note(settings, fmt::format("index '{}' removed", name));
  return kExitDone;
}

Result<int> compact_index(const Settings& settings, const std::string& name, bool abort_jobs) {
  VARVE_TRY(const OpenIndex open, open_index(settings, name));
  const ProgressStyle style = progress_style(settings.progress);
  ProgressPrinter progress("compact " + name, style, base::system_clock());
  VARVE_TRY(
      const CompactReport report,
      open.index->compact({.progress = progress.sink(), .grace = {}, .abort_jobs = abort_jobs}));
  const Json json{{"folded_ops", report.folded_ops},
                  {"clusters_rewritten", report.clusters_rewritten},
                  {"rows_rewritten", report.rows_rewritten},
                  {"splits", report.splits},
                  {"merges", report.merges},
                  {"objects_deleted", report.objects_deleted},
                  {"bytes_deleted", report.bytes_deleted}};
  print_document(settings, json, field_lines(json));
  return kExitDone;
}

Result<int> check_index(const Settings& settings, const std::string& name) {
  VARVE_TRY(const IndexName parsed, parse_index_name(name));
  VARVE_TRY(auto database, open_database(settings));
  const ProgressStyle style = progress_style(settings.progress);
  ProgressPrinter progress("fsck " + name, style, base::system_clock());
  VARVE_TRY(const FsckReport report, database->fsck_index(parsed, progress.sink()));
  Json findings = Json::array();
  std::string lines;
  for (const FsckFinding& finding : report.findings) {
    findings.push_back(Json{{"invariant", finding.invariant},
                            {"object", finding.object},
                            {"message", finding.message}});
    lines += fmt::format("{}  {}  {}\n", finding.invariant, finding.object,
                         one_line(finding.message, 1000));
  }
  Json json{{"sound", report.findings.empty()},
            {"objects", report.objects},
            {"bytes", report.bytes},
            {"log_ops", report.log_ops},
            {"live_keys", report.live_keys},
            {"orphans", report.orphans},
            {"state_hash", report.state_hash}};
  const std::string table = field_lines(json) + lines;
  json["findings"] = std::move(findings);
  print_document(settings, json, table);
  return report.findings.empty() ? kExitDone : kExitFailed;
}

// A verb whose only argument is an index.
void add_verb_on_index(CLI::App& parent, const VerbTable& verbs, const char* verb, const char* help,
                       Result<int> (*run)(const Settings&, const std::string&)) {
  CLI::App* command = parent.add_subcommand(verb, help);
  auto name = std::make_shared<std::string>();
  command->add_option("INDEX", *name, "bucket/index")->required();
  command->callback([verbs, name, run] {
    verbs.chosen = [&settings = verbs.settings, name, run] { return run(settings, *name); };
  });
}

}  // namespace

void add_index_verbs(const VerbTable& verbs) {
  CLI::App* group =
      verbs.app.add_subcommand("index", "Create, list, show, remove, compact indexes");
  group->require_subcommand(1);

  CLI::App* create = group->add_subcommand("create", "Create an index");
  auto arguments = std::make_shared<CreateArguments>();
  create->add_option("INDEX", arguments->name, "bucket/index")->required();
  create->add_option("--dim", arguments->dim, "Dimension of its vectors, 1 to 4096")->required();
  create->add_option("--metric", arguments->metric, "euclidean or cosine")->required();
  create->add_option("--code-bits", arguments->code_bits,
                     "Bits of code for each dimension: 1 (default), or 2 to 8 for --codes-only");
  create->add_option("--order", arguments->order,
                     "What one cluster holds: rows by similarity (default), or by time of writing");
  create->add_flag("--exist-ok", arguments->exist_ok, "No error if the same index exists");
  create->callback([verbs, arguments] {
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return create_index(settings, *arguments);
    };
  });

  group->add_subcommand("ls", "List the indexes of the store")->callback([verbs] {
    verbs.chosen = [&settings = verbs.settings] { return list_indexes(settings); };
  });
  add_verb_on_index(*group, verbs, "info", "Show what an index holds", show_info);
  add_verb_on_index(*group, verbs, "rm", "Remove an index and everything in it", remove_index);
  CLI::App* compact =
      group->add_subcommand("compact", "Fold the log, rewrite clusters, collect garbage");
  auto compacted = std::make_shared<std::string>();
  auto abort_jobs = std::make_shared<bool>(false);
  compact->add_option("INDEX", *compacted, "bucket/index")->required();
  compact->add_flag("--abort-jobs", *abort_jobs,
                    "First give up imports and other jobs of processes that are gone");
  compact->callback([verbs, compacted, abort_jobs] {
    verbs.chosen = [&settings = verbs.settings, compacted, abort_jobs] {
      return compact_index(settings, *compacted, *abort_jobs);
    };
  });
  add_verb_on_index(verbs.app, verbs, "fsck", "Verify every object and invariant of an index",
                    check_index);
}

}  // namespace varve::cli
