// A peer in a process of its own: libraries that share OpenMP or allocators with others do not
// meet, and one that crashes ends only itself. The program is given the name of a file, the job:
//
//   {"engine","rows_file","queries_file","rows","queries","dim","metric","k","build_threads",
//    "warm_up","folder"}
//
// and is asked by lines of JSON on its standard input, each answered by one line, which is
// {"error": "..."} if it failed:
//
//   {"do":"build"}                              {"seconds","threads","bytes_per_vector",
//                                                "parameters","about","sweep"}
//   {"do":"run","parameters":{...},"core":1}    {"done":queries}
//
// A run leaves int64 ids, k for each query, in folder/ids and float64 microseconds in folder/us.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/result.h"
#include "cli/ann_bench/child_process.h"
#include "cli/ann_bench/engine.h"

namespace varve::cli::ann_bench {
namespace {

constexpr std::size_t kReasonCharacters = 300;

template <typename T>
Result<std::vector<T>> read_values(const std::string& path, std::size_t count) {
  std::vector<T> values(count);
  const auto bytes = static_cast<std::streamsize>(count * sizeof(T));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), bytes);
  if (file.gcount() == bytes) return values;
  return fail(ErrorKind::unavailable, fmt::format("it left no {} values in '{}'", count, path));
}

// The last line that a program wrote on its standard error: there it says why it failed.
std::string last_line(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

class Peer final : public Engine {
 public:
  Peer(std::string name, const AnnSet& set, PeerJob job)
      : name_(std::move(name)), set_(set), job_(std::move(job)) {}

  const std::string& name() const override { return name_; }

  Result<Built> build() override {
    std::error_code ignored;
    std::filesystem::create_directories(job_.folder, ignored);
    const std::string job_file = job_.folder + "/job.json";
    std::ofstream(job_file) << json_text(job());
    std::vector<std::string> command = job_.command;
    command.push_back(job_file);
    VARVE_TRY(process_, ChildProcess::start(command, errors_file()));
    VARVE_TRY(const Json answer, ask(Json{{"do", "build"}}));
    Built built;
    try {
      built.seconds = answer.at("seconds").get<double>();
      built.threads = answer.at("threads").get<std::uint32_t>();
      built.bytes_per_vector = answer.at("bytes_per_vector").get<double>();
      built.parameters = answer.at("parameters");
      built.about = answer.at("about").get<std::string>();
      built.sweep = answer.at("sweep").get<std::vector<std::vector<Json>>>();
    } catch (const Json::exception& error) {
      return fail(ErrorKind::unavailable, one_line(error.what(), kReasonCharacters));
    }
    return built;
  }

  Result<Pass> run(const Json& parameters, int core) override {
    VARVE_CHECK(ask(Json{{"do", "run"}, {"parameters", parameters}, {"core", core}}));
    const std::size_t queries = set_.query_count();
    Pass pass;
    VARVE_TRY(pass.ids, read_values<std::int64_t>(job_.folder + "/ids", queries * job_.k));
    VARVE_TRY(pass.us, read_values<double>(job_.folder + "/us", queries));
    return pass;
  }

 private:
  std::string errors_file() const { return job_.folder + "/errors"; }

  Json job() const {
    return Json{{"engine", name_},
                {"rows_file", job_.rows_file},
                {"queries_file", job_.queries_file},
                {"rows", set_.row_count()},
                {"queries", set_.query_count()},
                {"dim", set_.dim},
                {"metric", set_.metric == Metric::cosine ? "cosine" : "euclidean"},
                {"k", job_.k},
                {"build_threads", job_.build_threads},
                {"warm_up", kWarmUpQueries},
                {"folder", job_.folder}};
  }

  Result<Json> ask(const Json& question) {
    auto line = process_->ask(json_text(question));
    if (!line) {
      const std::string said = last_line(errors_file());
      if (!said.empty()) line.error().message += ": " + one_line(said, kReasonCharacters);
      return tl::unexpected(line.error());
    }
    Json answer = Json::parse(*line, nullptr, false);
    if (!answer.is_object()) {
      return fail(ErrorKind::unavailable, "it answered " + one_line(*line, kReasonCharacters) +
                                              ", which is no JSON object");
    }
    if (answer.contains("error")) {
      return fail(ErrorKind::unavailable,
                  one_line(answer["error"].is_string() ? answer["error"].get<std::string>()
                                                       : json_text(answer["error"]),
                           kReasonCharacters));
    }
    return answer;
  }

  const std::string name_;
  const AnnSet& set_;
  const PeerJob job_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace

std::unique_ptr<Engine> make_peer(std::string name, const AnnSet& set, PeerJob job) {
  return std::make_unique<Peer>(std::move(name), set, std::move(job));
}

}  // namespace varve::cli::ann_bench
