// `varve bench ann`: recall and speed beside other libraries, on the same queries in one run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "base/pool.h"
#include "base/result.h"
#include "cli/ann_bench/contest.h"
#include "cli/ann_bench/peer_list.h"
#include "cli/ann_bench/pinned_thread.h"
#include "cli/ann_bench/report.h"
#include "cli/arguments.h"
#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/scratch_folder.h"
#include "cli/verbs/verbs.h"

namespace varve::cli {
namespace {

using namespace ann_bench;

struct Arguments {
  AnnFiles files{
      .data = {}, .queries = {}, .format = {}, .queries_max = 2000, .metric = Metric::euclidean};
  std::string metric = "euclidean";
  std::string peers, plot, scratch, python, script;
  std::uint32_t k = 10, rounds = 3, build_threads = 0;
};

Status write_file(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) return {};
  return fail(ErrorKind::invalid, fmt::format("file '{}' cannot be written", path));
}

std::string_view bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// A peer whose program is not there.
class MissingPeer final : public Engine {
 public:
  MissingPeer(std::string name, Error why) : name_(std::move(name)), why_(std::move(why)) {}
  const std::string& name() const override { return name_; }
  Result<Built> build() override { return tl::unexpected(why_); }
  Result<Pass> run(const Json&, int) override { return tl::unexpected(why_); }

 private:
  const std::string name_;
  const Error why_;
};

Result<std::vector<std::unique_ptr<Engine>>> make_engines(const Arguments& arguments,
                                                          const AnnSet& set,
                                                          std::uint32_t build_threads,
                                                          const std::string& folder) {
  VARVE_TRY(const auto peers, parse_peers(arguments.peers));
  PeerPrograms programs = find_peer_programs();
  if (!arguments.python.empty()) programs.python = arguments.python;
  if (!arguments.script.empty()) programs.script = arguments.script;
  std::vector<std::unique_ptr<Engine>> engines;
  engines.push_back(make_varve(set, arguments.k, build_threads, folder + "/varve"));
  PeerJob job;
  job.rows_file = folder + "/rows.f32";
  job.queries_file = folder + "/queries.f32";
  job.k = arguments.k;
  job.build_threads = build_threads;
  if (!peers.empty()) {
    VARVE_CHECK(write_file(job.rows_file, bytes_of(set.rows)));
    VARVE_CHECK(write_file(job.queries_file, bytes_of(set.queries)));
  }
  for (const std::string& peer : peers) {
    auto command = command_of(peer, programs);
    if (!command) {
      engines.push_back(std::make_unique<MissingPeer>(peer, command.error()));
      continue;
    }
    job.command = std::move(*command);
    job.folder = fmt::format("{}/{}", folder, peer);
    engines.push_back(make_peer(peer, set, job));
  }
  return engines;
}

Json set_json(const AnnSet& set, std::uint32_t k) {
  return Json{{"name", set.name},
              {"rows", set.row_count()},
              {"dim", set.dim},
              {"metric", set.metric == Metric::cosine ? "cosine" : "euclidean"},
              {"queries", set.query_count()},
              {"k", k}};
}

Status check_arguments(const Arguments& arguments, const AnnSet& set) {
  if (set.row_count() < arguments.k) {
    return fail(ErrorKind::invalid,
                fmt::format("file '{}' has {} rows, fewer than k = {}", arguments.files.data,
                            set.row_count(), arguments.k));
  }
  return {};
}

Result<std::vector<Outcome>> hold_contest(const Settings& settings, const Arguments& arguments,
                                          const AnnSet& set) {
  const std::uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::uint32_t threads = arguments.build_threads > 0 ? arguments.build_threads : cores;
  VARVE_TRY(const ScratchFolder scratch, ScratchFolder::make(arguments.scratch));
  VARVE_TRY(const auto engines, make_engines(arguments, set, threads, scratch.path()));
  ProgressPrinter progress("ann", progress_style(settings.progress), base::system_clock());
  const ProgressSink sink = progress.sink();
  if (sink) sink({"truth", 0, set.query_count(), "queries"});
  const auto pool = base::make_thread_pool(cores - 1);
  const Truth truth = exact_truth(set, arguments.k, *pool);
  return run_contest(engines, set, truth, {arguments.rounds, last_core()}, sink);
}

Result<int> bench_ann(const Settings& settings, const Arguments& arguments) {
  AnnFiles files = arguments.files;
  if (arguments.metric != "euclidean" && arguments.metric != "cosine") {
    return fail(ErrorKind::invalid, fmt::format("metric '{}' is not known", arguments.metric),
                "euclidean or cosine");
  }
  if (arguments.metric == "cosine") files.metric = Metric::cosine;
  // Before the minutes of work.
  VARVE_CHECK(parse_peers(arguments.peers));
  if (!arguments.plot.empty()) VARVE_CHECK(write_file(arguments.plot, ""));
  VARVE_TRY(const AnnSet set, read_ann_set(files));
  VARVE_CHECK(check_arguments(arguments, set));
  VARVE_TRY(const auto outcomes, hold_contest(settings, arguments, set));
  if (!outcomes.front().missing.empty()) {
    return fail(ErrorKind::internal, fmt::format("varve: {}", outcomes.front().missing));
  }
  const Json machine = machine_json();
  if (!arguments.plot.empty()) {
    VARVE_CHECK(write_file(arguments.plot, plot_svg(plot_of(outcomes, set, arguments.k))));
  }
  const Json document{{"bench", "ann"},
                      {"machine", machine},
                      {"set", set_json(set, arguments.k)},
                      {"rounds", arguments.rounds},
                      {"rows", rows_json(outcomes)}};
  print_document(settings, document, tables_text(outcomes, settings.markdown));
  note(settings,
       fmt::format("{}: {} x {}, {} queries one at a time on one thread, k = {}, best of {} "
                   "rounds by turns; on {}, commit {}",
                   set.name, grouped(set.row_count()), set.dim, grouped(set.query_count()),
                   arguments.k, arguments.rounds, machine["cpu"].get<std::string>(),
                   built_commit()));
  return kExitDone;
}

}  // namespace

void add_ann_bench(CLI::App& group, const VerbTable& verbs) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      group.add_subcommand("ann", "Recall and speed of search beside other libraries, in one run");
  command->add_option("--data", arguments->files.data, "The rows: a file as for import")
      ->required();
  command->add_option("--queries", arguments->files.queries, "A file as for import")->required();
  command->add_option("--metric", arguments->metric, "euclidean (default) or cosine");
  command->add_option("--format", arguments->files.format, "Of both files, as for import");
  command->add_option("--limit", arguments->files.queries_max,
                      "At most so many queries (default 2000, 0: all)");
  command->add_option("--peers", arguments->peers,
                      fmt::format("Of {}, or none (default all but the last)", known_peers()));
  command->add_option("-k", arguments->k, "How many neighbours (default 10)")
      ->check(whole_number(1, 1000));
  command
      ->add_option("--rounds", arguments->rounds,
                   "Turns of each engine; the best of each setting counts (default 3)")
      ->check(whole_number(1, 1000));
  command->add_option("--build-threads", arguments->build_threads,
                      "Threads of each build (default and 0: one for each core)");
  command->add_option("--plot", arguments->plot, "Write the curves as SVG into this file");
  command->add_option(
      "--scratch", arguments->scratch,
      "Folder for stores and files of the peers (default that for temporary files)");
  command->add_option("--python", arguments->python,
                      "Python with the packages of the peers (default build/peers/bin/python)");
  command->add_option("--peers-script", arguments->script,
                      "What it runs (default bench/ann_peers.py of the checkout)");
  command->callback([verbs, arguments] {
    verbs.takes_markdown = true;
    verbs.chosen = [&settings = verbs.settings, arguments] {
      return bench_ann(settings, *arguments);
    };
  });
}

}  // namespace varve::cli
