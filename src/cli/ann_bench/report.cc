#include "cli/ann_bench/report.h"

#include <fmt/format.h>

#include <cmath>

namespace varve::cli::ann_bench {
namespace {

Json number_or_null(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

void add_rows(const Outcome& outcome, Json& rows) {
  const auto row = [&](const char* kind) {
    return Json{{"engine", outcome.engine}, {"kind", kind}};
  };
  if (!outcome.missing.empty()) {
    Json missing = row("missing");
    missing["reason"] = outcome.missing;
    rows.push_back(std::move(missing));
    return;
  }
  Json build = row("build");
  build.update(Json{{"seconds", outcome.built.seconds},
                    {"threads", outcome.built.threads},
                    {"bytes_per_vector", outcome.built.bytes_per_vector},
                    {"parameters", outcome.built.parameters},
                    {"about", outcome.built.about}});
  rows.push_back(std::move(build));
  for (const SweepPoint& point : outcome.points) {
    Json sweep = row("sweep");
    sweep.update(Json{{"recall", point.recall.by_distance},
                      {"recall_by_ids", point.recall.by_ids},
                      {"qps", point.qps},
                      {"p50_us", point.p50_us},
                      {"p99_us", point.p99_us},
                      {"parameters", point.parameters},
                      {"rounds", point.rounds}});
    rows.push_back(std::move(sweep));
  }
  const auto front = front_by_distance(outcome), front_ids = front_by_ids(outcome);
  for (const double target : kRecallTargets) {
    Json at = row("at");
    at.update(Json{{"recall_target", target},
                   {"qps", number_or_null(qps_at(front, target))},
                   {"qps_by_ids", number_or_null(qps_at(front_ids, target))}});
    rows.push_back(std::move(at));
  }
}

using Align = Table::Align;

std::vector<Table::Column> with_targets(std::vector<Table::Column> columns) {
  for (const double target : kRecallTargets) {
    columns.push_back({fmt::format("{}", target), Align::right});
  }
  return columns;
}

Table speeds(std::span<const Outcome> outcomes) {
  Table table(with_targets({{"qps at recall", Align::left},
                            {"build s", Align::right},
                            {"threads", Align::right},
                            {"bytes/vector", Align::right}}));
  for (const Outcome& outcome : outcomes) {
    if (!outcome.missing.empty()) continue;
    std::vector<std::string> cells{
        outcome.engine, fmt::format("{:.2f}", outcome.built.seconds),
        std::to_string(outcome.built.threads),
        grouped(static_cast<std::uint64_t>(std::llround(outcome.built.bytes_per_vector)))};
    for (const double target : kRecallTargets) {
      const auto qps = qps_at(front_by_distance(outcome), target);
      cells.push_back(qps ? grouped(static_cast<std::uint64_t>(std::llround(*qps))) : "-");
    }
    table.add(std::move(cells));
  }
  return table;
}

Table ratios(std::span<const Outcome> outcomes) {
  const Outcome& first = outcomes.front();
  Table table(
      with_targets({{fmt::format("{} is so many times as fast as", first.engine), Align::left},
                    {"build", Align::right}}));
  for (const Outcome& outcome : outcomes.subspan(1)) {
    if (!outcome.missing.empty()) continue;
    std::vector<std::string> cells{
        outcome.engine, fmt::format("{:.2f}", outcome.built.seconds / first.built.seconds)};
    for (const double target : kRecallTargets) {
      const auto ours = qps_at(front_by_distance(first), target);
      const auto theirs = qps_at(front_by_distance(outcome), target);
      cells.push_back(ours && theirs ? fmt::format("{:.2f}", *ours / *theirs) : "-");
    }
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace

Json rows_json(std::span<const Outcome> outcomes) {
  Json rows = Json::array();
  for (const Outcome& outcome : outcomes) add_rows(outcome, rows);
  return rows;
}

std::string tables_text(std::span<const Outcome> outcomes, bool markdown) {
  const auto text_of = [markdown](const Table& table) {
    return markdown ? table.markdown() : table.text();
  };
  std::string text = text_of(speeds(outcomes));
  if (outcomes.front().missing.empty()) text += fmt::format("\n{}", text_of(ratios(outcomes)));
  bool first = true;
  for (const Outcome& outcome : outcomes) {
    if (outcome.missing.empty()) continue;
    text += fmt::format("{}{}missing: {}: {}\n", first ? "\n" : "", markdown ? "- " : "",
                        outcome.engine, escaped_controls(outcome.missing));
    first = false;
  }
  return text;
}

Plot plot_of(std::span<const Outcome> outcomes, const AnnSet& set, std::uint32_t k) {
  Plot plot;
  plot.title = fmt::format("Recall against speed: {}", set.name);
  plot.subtitle = fmt::format(
      "{} x {}, {}, k = {}, {} queries, one at a time; better is up and right",
      grouped(set.row_count()), set.dim, set.metric == Metric::cosine ? "cosine" : "euclidean", k,
      grouped(set.query_count()));
  for (const Outcome& outcome : outcomes) {
    plot.series.push_back({outcome.engine, front_by_distance(outcome)});
  }
  return plot;
}

}  // namespace varve::cli::ann_bench
